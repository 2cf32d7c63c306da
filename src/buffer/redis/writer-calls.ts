import type { Redis } from 'ioredis';

import { runScript, type ScriptName } from './scripts';

/** Functions that writers call, in the order in which those of one turn are sent. */
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

export interface WriterCallsOptions {
  readonly redis: Redis;
  readonly keysOf: (script: WriterScript, shard: number) => readonly string[];
  /** Arguments before those of the callers. */
  readonly commonArgs: Readonly<Record<WriterScript, readonly (string | number)[]>>;
  /** The reply of one caller, from that of the call which it shared: its place among the callers of the call. */
  readonly replyOf: Readonly<Record<WriterScript, (reply: unknown, shard: number, place: number) => unknown>>;
}

/**
 * Calls of one turn of the event loop share what is expensive: one Lua call per function and shard, and one write to the
 * socket for all. Under load a turn answers many transactions at once; without load nobody waits for another.
 */
export class WriterCalls {
  readonly #options: WriterCallsOptions;
  #waiting = new Map<WriterScript, Map<number, Waiting[]>>();

  constructor(options: WriterCallsOptions) {
    this.#options = options;
  }

  call(script: WriterScript, shard: number, args: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) setImmediate(() => this.#send());
      const shards = this.#waiting.get(script) ?? new Map<number, Waiting[]>();
      if (shards.size === 0) this.#waiting.set(script, shards);
      const callers = shards.get(shard);
      if (callers === undefined) shards.set(shard, [{ args, resolve, reject }]);
      else callers.push({ args, resolve, reject });
    });
  }

  #send(): void {
    const waiting = this.#waiting;
    this.#waiting = new Map();
    const { redis } = this.#options;
    // Absent while there is no connection: every call is rejected then.
    const stream = (redis as { readonly stream?: Redis['stream'] }).stream;
    stream?.cork();
    for (const script of SCRIPTS)
      for (const [shard, callers] of waiting.get(script) ?? [])
        for (let at = 0; at < callers.length; at += MOST)
          void this.#sendOne(script, shard, callers.slice(at, at + MOST));
    stream?.uncork();
  }

  async #sendOne(script: WriterScript, shard: number, callers: readonly Waiting[]): Promise<void> {
    const { redis, keysOf, commonArgs, replyOf } = this.#options;
    try {
      const args = [...commonArgs[script], ...callers.flatMap((caller) => caller.args)];
      const reply = await runScript(redis, script, keysOf(script, shard), args);
      for (const [place, { resolve }] of callers.entries()) resolve(replyOf[script](reply, shard, place));
    } catch (error) {
      for (const { reject } of callers) reject(error);
    }
  }
}
