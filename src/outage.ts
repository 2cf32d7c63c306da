import { describe } from './describe';
import { CounterCacheError } from './errors';

/** How an {@link Outage} is told about, and when it is over without a word. */
export interface OutageOptions {
  /** Milliseconds without a failure after which an outage is over. @defaultValue never: only success ends it */
  readonly quiet?: number;
  /** Monotonic, ms. @defaultValue `performance.now` */
  readonly now?: () => number;
}

/** Kinds of failures that are reported in one outage. */
const MAX_KINDS = 10;

/** Sources of failures that are told apart; beyond it an outage ends with the first success. */
const MAX_SOURCES = 2_048;

/**
 * Reports the failures of something that is tried again and again: each kind once per outage, however often it fails. An outage is over
 * when every source that failed has succeeded.
 */
export class Outage {
  readonly #report: (error: unknown) => void;
  readonly #quiet: number;
  readonly #now: () => number;
  readonly #kinds = new Set<string>();
  readonly #failing = new Set<string>();
  #last = -Infinity;

  constructor(report: (error: unknown) => void, { quiet = Infinity, now }: OutageOptions = {}) {
    this.#report = report;
    this.#quiet = quiet;
    this.#now = now ?? (() => performance.now());
  }

  /** `source` is one of several that fail and succeed apart; errors of one `kind` are reported once. */
  failed(error: unknown, { source = '', kind = kindOf(error) }: { source?: string; kind?: string } = {}): void {
    const last = this.#last;
    this.#last = this.#now();
    if (this.#last - last > this.#quiet) this.#end();
    if (this.#failing.size < MAX_SOURCES) this.#failing.add(source);
    if (this.#kinds.has(kind) || this.#kinds.size > MAX_KINDS) return;
    this.#kinds.add(kind);
    this.#report(this.#kinds.size > MAX_KINDS ? tooMany(error) : error);
  }

  /** Cheap while nothing fails. */
  succeeded(source = ''): void {
    if (this.#failing.size === 0) return;
    this.#failing.delete(source);
    if (this.#failing.size === 0) this.#end();
  }

  #end(): void {
    this.#kinds.clear();
    this.#failing.clear();
  }
}

/** What two errors that say the same have in common: numbers in their texts differ from row to row. */
export function kindOf(error: unknown): string {
  const { name, code, message } = (error ?? {}) as Record<'name' | 'code' | 'message', unknown>;
  if (typeof message !== 'string') return describe(error);
  const text = message.slice(0, 200).replaceAll(/\d+/g, '#');
  return `${String(name)} ${typeof code === 'string' ? code : ''} ${text}`;
}

function tooMany(cause: unknown): CounterCacheError {
  const code = cause instanceof CounterCacheError ? cause.code : 'BUFFER_UNAVAILABLE';
  const reason = `work in the background failed for more than ${MAX_KINDS} reasons; the last is the cause of this error`;
  return new CounterCacheError(code, `${reason}. No more are reported until it succeeds`, {}, { cause });
}
