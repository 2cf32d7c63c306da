import { type Redis, ReplyError } from 'ioredis';

import type { Confirmed } from '../buffer';
import type { WakeUp } from '../../../model/pending';
import { decodeWakeUps, type TimesReply } from './codec';
import { runScript, type ScriptName } from './scripts';

/** Functions that writers call, in the order in which those that wait are sent. */
const ORDER = ['announce', 'confirm', 'add', 'discard'] as const satisfies readonly ScriptName[];

type WriterScript = (typeof ORDER)[number];

/** The reply of one caller, from that of the call which it shared: its place among the callers of the call. */
type ReplyOf = (reply: unknown, shard: number, place: number) => unknown;

const REPLIES = {
  announce: () => undefined,
  confirm: confirmedOf,
  add: addedOf,
  discard: () => undefined,
} as const satisfies Record<WriterScript, ReplyOf>;

/** What a caller of a function gets. */
type WriterReply<Script extends WriterScript> = ReturnType<(typeof REPLIES)[Script]>;

/** Intents handled by one call at the most: Redis does nothing else meanwhile. */
const MAX_CALLERS = 100;

/** Turns of the event loop that those who wait are gathered in at the most. */
const TURNS = 4;

/** One caller of a function, with its own arguments. */
interface Waiting {
  readonly args: readonly string[];
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** What waits, by function and shard. */
type Calls = Map<WriterScript, Map<number, Waiting[]>>;

/** What keeps Redis from answering. */
interface Failure {
  readonly error: unknown;
}

/** What the calls need. */
export interface WriterCallsOptions {
  /** `defineScripts` has run on it. */
  readonly redis: Redis;
  readonly keysOf: (script: ScriptName, shard: number) => readonly string[];
  /** Due times are rounded up to multiples of it, ms. */
  readonly window: number;
}

/**
 * What is called while Redis has yet to answer is sent together afterwards: one Lua call per function and shard, and one
 * write to the socket. No caller waits for another when there is nothing to wait for, and under load a round trip serves
 * many transactions.
 */
export class WriterCalls {
  readonly #options: WriterCallsOptions;
  /** Arguments before those of the callers. */
  readonly #commonArgs: Readonly<Record<WriterScript, readonly number[]>>;
  #waiting: Calls = new Map();
  /** Callers in `#waiting`. */
  #count = 0;
  /** A round is about to be sent, or not answered yet. */
  #isBusy = false;

  constructor(options: WriterCallsOptions) {
    this.#options = options;
    const { window } = options;
    this.#commonArgs = { announce: [], confirm: [window], add: [window], discard: [] };
  }

  /**
   * Runs a function for one caller, with arguments of its own, together with others.
   *
   * @throws what the call that it shared is rejected with
   */
  call<Script extends WriterScript>(
    script: Script,
    shard: number,
    args: readonly string[],
  ): Promise<WriterReply<Script>> {
    return this.#join(script, shard, args) as Promise<WriterReply<Script>>;
  }

  #join(script: WriterScript, shard: number, args: readonly string[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#count += 1;
      const shards = this.#waiting.get(script) ?? new Map<number, Waiting[]>();
      if (shards.size === 0) this.#waiting.set(script, shards);
      const callers = shards.get(shard);
      if (callers === undefined) shards.set(shard, [{ args, resolve, reject }]);
      else callers.push({ args, resolve, reject });
      this.#startRound();
    });
  }

  #startRound(): void {
    if (this.#isBusy || this.#waiting.size === 0) return;
    this.#isBusy = true;
    this.#gather(TURNS);
  }

  /** Others of this turn of the event loop come along, and those of the next as long as each brings some. */
  #gather(turns: number): void {
    const before = this.#count;
    setImmediate(() => {
      if (turns > 1 && this.#count > before) this.#gather(turns - 1);
      else void this.#runRound();
    });
  }

  async #runRound(): Promise<void> {
    const failure = await this.#sendRound(this.#take());
    // No caller's time limit begins again: those that came meanwhile have waited for the same answer.
    if (failure !== undefined) rejectAll(this.#take(), failure.error);
    this.#isBusy = false;
    this.#startRound();
  }

  #take(): Calls {
    const calls = this.#waiting;
    this.#waiting = new Map();
    this.#count = 0;
    return calls;
  }

  async #sendRound(calls: Calls): Promise<Failure | undefined> {
    const { redis } = this.#options;
    // Absent while there is no connection: every call is rejected then.
    const stream = (redis as { readonly stream?: Redis['stream'] }).stream;
    const sent: Promise<Failure | null>[] = [];
    stream?.cork();
    for (const script of ORDER)
      for (const [shard, callers] of calls.get(script) ?? [])
        for (let at = 0; at < callers.length; at += MAX_CALLERS)
          sent.push(this.#sendCall(script, shard, callers.slice(at, at + MAX_CALLERS)));
    stream?.uncork();
    return (await Promise.all(sent)).find((failure) => failure !== null) ?? undefined;
  }

  async #sendCall(script: WriterScript, shard: number, callers: readonly Waiting[]): Promise<Failure | null> {
    const { redis, keysOf } = this.#options;
    try {
      const args = [...this.#commonArgs[script], ...callers.flatMap((caller) => caller.args)];
      const reply = await runScript(redis, script, keysOf(script, shard), args);
      for (const [place, { resolve }] of callers.entries()) resolve(REPLIES[script](reply, shard, place));
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

/** The wake-ups of a shared call go to the first of its callers. */
function confirmedOf(reply: unknown, shard: number, place: number): Confirmed {
  const [found, ...times] = reply as readonly [readonly number[], ...TimesReply];
  return { found: found[place] === 1, wakeUps: place === 0 ? decodeWakeUps(shard, ...times) : [] };
}

function addedOf(reply: unknown, shard: number, place: number): readonly WakeUp[] {
  return place === 0 ? decodeWakeUps(shard, ...(reply as TimesReply)) : [];
}
