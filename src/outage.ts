import { describe } from './describe';
import { CounterCacheError } from './errors';

/** What an {@link Outage} reports, and when it is over without a success. */
export interface OutageOptions {
  /** Kinds of failures that are told apart. @defaultValue 10 */
  readonly kinds?: number;
  /** Makes the last report, of the first kind beyond those; `null` forgets the oldest kind instead. */
  readonly summary?: ((cause: unknown) => unknown) | null;
  /** Reports of one kind. @defaultValue 1 */
  readonly times?: number;
  /** Milliseconds after which a kind counts as a new one. @defaultValue never */
  readonly window?: number;
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
 * Reports the failures of something that is tried again and again: each kind once per outage, however often it fails. An
 * outage is over when every source that failed has succeeded.
 */
export class Outage {
  readonly #report: (error: unknown) => void;
  readonly #options: Required<OutageOptions>;
  /** In the order in which they came. */
  readonly #kinds = new Map<string, { count: number; readonly since: number }>();
  readonly #failing = new Set<string>();
  #last = -Infinity;

  constructor(report: (error: unknown) => void, options: OutageOptions = {}) {
    const [now, summary] = [() => performance.now(), tooMany];
    this.#report = report;
    this.#options = { kinds: MAX_KINDS, summary, times: 1, window: Infinity, quiet: Infinity, now, ...options };
  }

  /** Something has failed, and has not succeeded since. */
  get isUnderWay(): boolean {
    return this.#failing.size > 0;
  }

  /** `source` is one of several that fail and succeed apart; errors of one `kind` are reported once. */
  failed(error: unknown, { source = '', kind = kindOf(error) }: { source?: string; kind?: string } = {}): void {
    const { kinds, summary, times, window, quiet } = this.#options;
    const now = this.#options.now();
    if (now - this.#last > quiet) this.#end();
    this.#last = now;
    if (this.#failing.size < MAX_SOURCES) this.#failing.add(source);
    const known = this.#kinds.get(kind);
    if (known !== undefined && now - known.since < window) {
      if (++known.count <= times) this.#report(error);
      return;
    }
    this.#kinds.delete(kind);
    if (this.#kinds.size > kinds) return;
    if (summary === null && this.#kinds.size === kinds) this.#forgetOldest();
    this.#kinds.set(kind, { count: 1, since: now });
    this.#report(summary !== null && this.#kinds.size > kinds ? summary(error) : error);
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

  #forgetOldest(): void {
    const [oldest] = this.#kinds.keys();
    if (oldest !== undefined) this.#kinds.delete(oldest);
  }
}

/** What two errors that say the same have in common: numbers in their texts differ from row to row. */
function kindOf(error: unknown): string {
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
