import { type Redis, ReplyError } from 'ioredis';

import { runScript, type ScriptName } from './scripts';

/** Functions that writers call, in the order in which those that wait are sent. */
const SCRIPTS = ['announce', 'confirm', 'add', 'discard'] as const satisfies readonly ScriptName[];

export type WriterScript = (typeof SCRIPTS)[number];

/** Intents handled by one call at the most: Redis does nothing else meanwhile. */
const MOST = 100;

/** One caller of a function, with its own arguments. */
interface Waiting {
  readonly args: readonly string[];
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
}

type Calls = Map<WriterScript, Map<number, Waiting[]>>;

export interface WriterCallsOptions {
  readonly redis: Redis;
  readonly keysOf: (script: WriterScript, shard: number) => readonly string[];
  /** Arguments before those of the callers. */
  readonly commonArgs: Readonly<Record<WriterScript, readonly (string | number)[]>>;
  /** The reply of one caller, from that of the call which it shared: its place among the callers of the call. */
  readonly replyOf: Readonly<Record<WriterScript, (reply: unknown, shard: number, place: number) => unknown>>;
}

/**
 * What is called while Redis has yet to answer is sent together afterwards: one Lua call per function and shard, and one
 * write to the socket. Nobody waits for another when there is nothing to wait for, and under load a round trip serves
 * many transactions.
 */
export class WriterCalls {
  readonly #options: WriterCallsOptions;
  #waiting: Calls = new Map();
  /** A round is about to be sent, or not answered yet. */
  #isBusy = false;

  constructor(options: WriterCallsOptions) {
    this.#options = options;
  }

  call(script: WriterScript, shard: number, args: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const shards = this.#waiting.get(script) ?? new Map<number, Waiting[]>();
      if (shards.size === 0) this.#waiting.set(script, shards);
      const callers = shards.get(shard);
      if (callers === undefined) shards.set(shard, [{ args, resolve, reject }]);
      else callers.push({ args, resolve, reject });
      this.#startRound();
    });
  }

  /** Others of this turn of the event loop, which may have answered many transactions, come along. */
  #startRound(): void {
    if (this.#isBusy || this.#waiting.size === 0) return;
    this.#isBusy = true;
    setImmediate(() => void this.#runRound());
  }

  async #runRound(): Promise<void> {
    const failure = await this.#sendRound(this.#take());
    // Nobody's time limit begins anew: those that came meanwhile have waited for the same answer.
    if (failure !== null) rejectAll(this.#take(), failure.error);
    this.#isBusy = false;
    this.#startRound();
  }

  #take(): Calls {
    const calls = this.#waiting;
    this.#waiting = new Map();
    return calls;
  }

  /** Resolves to what keeps Redis from answering, if anything does. */
  async #sendRound(calls: Calls): Promise<{ readonly error: unknown } | null> {
    const { redis } = this.#options;
    // Absent while there is no connection: every call is rejected then.
    const stream = (redis as { readonly stream?: Redis['stream'] }).stream;
    const sent: Promise<{ readonly error: unknown } | null>[] = [];
    stream?.cork();
    for (const script of SCRIPTS)
      for (const [shard, callers] of calls.get(script) ?? [])
        for (let at = 0; at < callers.length; at += MOST)
          sent.push(this.#sendCall(script, shard, callers.slice(at, at + MOST)));
    stream?.uncork();
    const failures = await Promise.all(sent);
    return failures.find((failure) => failure !== null) ?? null;
  }

  async #sendCall(
    script: WriterScript,
    shard: number,
    callers: readonly Waiting[],
  ): Promise<{ readonly error: unknown } | null> {
    const { redis, keysOf, commonArgs, replyOf } = this.#options;
    try {
      const args = [...commonArgs[script], ...callers.flatMap((caller) => caller.args)];
      const reply = await runScript(redis, script, keysOf(script, shard), args);
      for (const [place, { resolve }] of callers.entries()) resolve(replyOf[script](reply, shard, place));
      return null;
    } catch (error) {
      for (const { reject } of callers) reject(error);
      return error instanceof ReplyError ? null : { error };
    }
  }
}

function rejectAll(calls: Calls, error: unknown): void {
  for (const shards of calls.values())
    for (const callers of shards.values()) for (const { reject } of callers) reject(error);
}
