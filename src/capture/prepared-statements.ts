import { createHash } from 'node:crypto';

import { ConfigurationError } from '../errors';
import type { SqlQuery } from '../sql/query';
import { sendAs } from './manner';

/** What preparing needs of the library around it. */
export interface PreparedStatementsOptions {
  /** Whether statements are to be prepared, on connections that keep them. */
  readonly isOn: () => boolean;
  /** Told once, when a prepared statement was gone: nothing is prepared any more. */
  readonly onError: (error: unknown) => void;
}

/** Texts that are prepared, and their greatest length, in characters: every connection keeps a plan per name of each. */
const MOST = 100;
const LONGEST = 4_096;

/** Texts that were seen once, and are remembered for the next time. */
const REMEMBERED = 1_000;

/** Names that a text gets one after the other; then it is sent as text for good, by these counters. */
const ROUNDS = 3;

/** Where PostgreSQL looks for a prepared statement, and keeps one. */
const LOST: ReadonlySet<unknown> = new Set(['FetchPreparedStatement', 'StorePreparedStatement']);

/** PostgreSQL: datatype_mismatch, undefined_object, internal_error. */
const OUTDATED: ReadonlySet<unknown> = new Set(['42804', '42704', 'XX000']);

/** PostgreSQL: data exception. A value that never fitted cannot be told apart, and costs its text a name as well. */
const UNFIT = '22';

/** A text, the name that it has now, and how many it has had. */
interface Prepared {
  name: string | null;
  round: number;
}

/**
 * Has connections prepare the statements that writes send again and again: to parse and to plan an INSERT takes the server
 * longer than to execute it. Only for statements that are planned in one way whatever their parameters are.
 */
export class PreparedStatements {
  readonly #options: PreparedStatementsOptions;
  readonly #texts = new Map<string, Prepared>();
  readonly #seen = new Set<string>();
  #isOff = false;

  constructor(options: PreparedStatementsOptions) {
    this.#options = options;
  }

  /** Has the statement that is sent next, with this very text and array of parameters, prepared. */
  prepare([text, parameters]: Readonly<SqlQuery>): void {
    const name = this.#nameOf(text);
    sendAs(parameters, name === null ? null : { name, text, onError: (error) => this.#failed(error, text, name) });
  }

  #nameOf(text: string): string | null {
    if (this.#isOff || text.length > LONGEST || !this.#options.isOn()) return null;
    const known = this.#texts.get(text);
    if (known !== undefined) return known.name;
    if (this.#texts.size >= MOST) return null;
    // At its second time: many texts are sent only once.
    if (!this.#seen.delete(text)) {
      if (this.#seen.size >= REMEMBERED) this.#seen.clear();
      this.#seen.add(text);
      return null;
    }
    const name = newName(text, 0);
    this.#texts.set(text, { name, round: 0 });
    return name;
  }

  #failed(error: unknown, text: string, name: string): void {
    if (isLost(error)) this.#turnOff();
    if (isLost(error) || isOutdated(error)) stale.add(error as object);
    const known = this.#texts.get(text);
    // Others that were sent under the same name fail the same way.
    if (!isOutdated(error) || known?.name !== name) return;
    known.round += 1;
    known.name = known.round < ROUNDS ? newName(text, known.round) : null;
  }

  #turnOff(): void {
    if (this.#isOff) return;
    this.#isOff = true;
    const advice = 'From now on these counters prepare none: leave the option `preparedStatements` away';
    this.#options.onError(
      new ConfigurationError([
        `a prepared statement was gone from its connection (DEALLOCATE, DISCARD ALL, or a pooler). ${advice}`,
      ]),
    );
  }
}

function newName(text: string, round: number): string {
  return `counter_cache_${createHash('sha256').update(`${round} ${text}`).digest('base64url').slice(0, 22)}`;
}

/** What prepared statements failed with, as the driver threw it. */
const stale = new WeakSet<object>();

/**
 * Whether a statement may have failed only because it was prepared: it has done nothing, and sent once more, under another name
 * or as text, it may go through.
 */
export function isStale(error: unknown): boolean {
  const { driverError = error } = (error ?? {}) as { readonly driverError?: unknown };
  return typeof driverError === 'object' && driverError !== null && stale.has(driverError);
}

interface DatabaseError {
  readonly code?: unknown;
  readonly routine?: unknown;
}

/** The types of columns, which were looked at when it was prepared, are others now; or a value does not fit its column. */
function isOutdated(error: unknown): boolean {
  const { code, routine } = (error ?? {}) as DatabaseError;
  if (routine === 'RevalidateCachedQuery' || OUTDATED.has(code)) return true;
  return typeof code === 'string' && code.startsWith(UNFIT);
}

function isLost(error: unknown): boolean {
  return LOST.has(((error ?? {}) as DatabaseError).routine);
}
