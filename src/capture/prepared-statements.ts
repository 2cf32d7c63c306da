import { createHash } from 'node:crypto';

import { ConfigurationError } from '../errors';
import type { SqlQuery } from '../sql/query';
import { sendAs } from './manner';

/** What preparing needs of the library around it. */
export interface PreparedStatementsOptions {
  /** Whether connections keep what is prepared on them. */
  readonly isKept: () => boolean;
  readonly onError: (error: unknown) => void;
}

/** Texts that are prepared per connection at the most, and their greatest length: the server keeps a plan of each. */
const MOST = 100;
const LONGEST = 4_096;

/** Texts that were seen once, and are remembered for the next time. */
const REMEMBERED = 1_000;

/** PostgreSQL: invalid_sql_statement_name, duplicate_prepared_statement. */
const LOST: ReadonlySet<unknown> = new Set(['26000', '42P05']);

/**
 * Has connections prepare the statements that writes send again and again: to parse and to plan an INSERT takes the server
 * longer than to execute it. Only for statements that are planned in one way whatever their parameters are.
 */
export class PreparedStatements {
  readonly #options: PreparedStatementsOptions;
  readonly #names = new Map<string, string>();
  readonly #seen = new Set<string>();
  #isLost = false;
  #generation = 0;

  constructor(options: PreparedStatementsOptions) {
    this.#options = options;
  }

  /** Has the statement that is sent next, with this very text and array of parameters, prepared. */
  prepare([text, parameters]: Readonly<SqlQuery>): void {
    const name = this.#nameOf(text);
    const generation = this.#generation;
    sendAs(parameters, name === null ? undefined : { name, onError: (error) => this.#failed(error, generation) });
  }

  #nameOf(text: string): string | null {
    if (this.#isLost || text.length > LONGEST || !this.#options.isKept()) return null;
    return this.#names.get(text) ?? this.#newName(text);
  }

  /** At its second time: many texts are sent only once. */
  #newName(text: string): string | null {
    if (this.#names.size >= MOST) return null;
    if (!this.#seen.delete(text)) {
      if (this.#seen.size >= REMEMBERED) this.#seen.clear();
      this.#seen.add(text);
      return null;
    }
    const hash = createHash('sha256').update(`${this.#generation} ${text}`).digest('base64url').slice(0, 22);
    const name = `counter_cache_${hash}`;
    this.#names.set(text, name);
    return name;
  }

  #failed(error: unknown, generation: number): void {
    if (isReplanned(error)) {
      // Under its name it would fail for ever; others of its time fail the same way.
      if (generation !== this.#generation) return;
      this.#generation += 1;
      this.#names.clear();
    } else if (isLost(error) && !this.#isLost) {
      this.#isLost = true;
      this.#options.onError(
        new ConfigurationError([
          'a prepared statement was gone from its connection (DEALLOCATE, DISCARD ALL or a connection pooler); from now on this process prepares none. Say `preparedStatements: false` in the options',
        ]),
      );
    }
  }
}

/** Whether a statement failed only because it was prepared: it has done nothing, and the next try goes another way. */
export function isStale(error: unknown): boolean {
  return isReplanned(error) || isLost(error);
}

/** The type of a column that it returns was altered. */
function isReplanned(error: unknown): boolean {
  const { code, routine } = (error ?? {}) as { readonly code?: unknown; readonly routine?: unknown };
  return code === '0A000' && routine === 'RevalidateCachedQuery';
}

function isLost(error: unknown): boolean {
  return LOST.has(((error ?? {}) as { readonly code?: unknown }).code);
}
