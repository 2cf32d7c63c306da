import { randomUUID } from 'node:crypto';

import { type Redis, ReplyError } from 'ioredis';

import type {
  Claim,
  Confirmed,
  DeltaBuffer,
  FinalizeOptions,
  Held,
  Intent,
  Known,
  Recount,
  ShardStatus,
  LeaseOutcome,
} from '../buffer';
import type { WakeUp, Batch, ClaimScope, Snapshot, Unapplied } from '../../../model/pending';
import { BufferUnavailableError } from '../../../errors';
import {
  decodeWakeUps,
  decodeAmounts,
  decodeBatch,
  decodeLeft,
  decodeOutcomes,
  encodeDeltas,
  encodeKnown,
  encodeRecounts,
  encodeUnapplied,
  type LeftReply,
  type TimesReply,
} from './codec';
import { SHARD_KEYS, shardKey } from './keys';
import { runScript, type ScriptName, SCRIPTS } from './scripts';
import { WriterCalls } from './writer-calls';

/** The connections a {@link RedisBuffer} works through; `defineScripts` has run on both. */
export interface RedisConnections {
  /** Writers' calls: fails fast, within `redisTimeout`. */
  readonly writer: Redis;
  /** Workers' calls: larger replies, a longer time limit. */
  readonly worker: Redis;
}

/** Where a {@link RedisBuffer} keeps its shards. */
export interface RedisBufferOptions extends RedisConnections {
  readonly prefix: string;
  readonly installation: string;
  readonly shards: number;
  /** Due times are rounded up to multiples of it, ms. */
  readonly window: number;
  /** Every write is on disk before it is answered: a restart loses nothing. */
  readonly durableRedis: boolean;
}

/** Pending deltas in Redis: one Lua function per method, one hash tag per shard. */
export class RedisBuffer implements DeltaBuffer {
  readonly shards: number;
  readonly #options: RedisBufferOptions;
  readonly #keys = new Map<string, readonly string[]>();
  readonly #writerCalls: WriterCalls;

  constructor(options: RedisBufferOptions) {
    this.#options = options;
    this.shards = options.shards;
    const { writer: redis, window } = options;
    this.#writerCalls = new WriterCalls({ redis, keysOf: (script, shard) => this.#keysOf(script, shard), window });
  }

  async incarnation(): Promise<string | null> {
    if (this.#options.durableRedis) return null;
    const info = await this.#options.worker.info('server', 'replication').catch(refusedInfo);
    const [run, replication] = ['run_id', 'master_replid'].map(
      (name) => new RegExp(`^${name}:(\\w+)`, 'm').exec(info)?.[1],
    );
    return run === undefined ? null : `${run}/${replication ?? ''}`;
  }

  async epoch(shard: number): Promise<number | null> {
    const { prefix, installation, worker } = this.#options;
    const epoch = await worker
      .hget(shardKey(prefix, installation, shard, 'meta'), 'epoch')
      .catch(unavailable({ shard, call: 'epoch' }));
    return epoch === null ? null : Number(epoch);
  }

  async raiseEpoch(shard: number, epoch: number): Promise<void> {
    await this.#work(shard, 'raise-epoch', epoch);
  }

  async clear(shard: number, epoch: number): Promise<void> {
    const { prefix, installation, worker } = this.#options;
    const keys = SHARD_KEYS.map((key) => shardKey(prefix, installation, shard, key));
    // No Lua function: an ACL that grants what those call need not grant DEL for it.
    const cleared = worker
      .multi()
      .del(keys)
      .hset(shardKey(prefix, installation, shard, 'meta'), 'epoch', epoch)
      .exec();
    const results = (await cleared.catch(unavailable({ shard, call: 'clear' }))) ?? [];
    for (const [error] of results) if (error !== null) unavailable({ shard, call: 'clear' })(error);
  }

  announce(shard: number, { id, deltas }: Intent): Promise<void> {
    return this.#writerCalls.call('announce', shard, [id, encodeDeltas(deltas)]);
  }

  confirm(shard: number, intentId: string): Promise<Confirmed> {
    return this.#writerCalls.call('confirm', shard, [intentId]);
  }

  discard(shard: number, intentId: string): Promise<void> {
    return this.#writerCalls.call('discard', shard, [intentId]);
  }

  add(shard: number, { id, deltas }: Intent): Promise<readonly WakeUp[]> {
    return this.#writerCalls.call('add', shard, [id, encodeDeltas(deltas)]);
  }

  async claim(shard: number, scope: ClaimScope, limit: number, known?: Known): Promise<Claim> {
    const names = scope.select === 'targets' ? scope.targets : scope.select === 'dirty' ? (scope.tableIds ?? []) : [];
    const id = randomUUID();
    const reply = await this.#work(shard, 'claim', id, limit, scope.select, encodeKnown(known), ...names);
    const [json, more, next, now, left] = reply as readonly [string | null, number, number | null, number, LeftReply?];
    return {
      batch: json === null ? null : decodeBatch(id, shard, json),
      more: more === 1,
      next,
      now,
      left: decodeLeft(left),
      isLost: left === undefined,
    };
  }

  async acknowledge(shard: number, batchId: string, unapplied: readonly Unapplied[]): Promise<Confirmed> {
    const reply = await this.#work(shard, 'acknowledge', batchId, encodeUnapplied(unapplied), this.#options.window);
    const [found, ...times] = reply as readonly [number, ...TimesReply];
    return { found: found === 1, wakeUps: decodeWakeUps(shard, ...times) };
  }

  async takeOver(shard: number, olderThan: number, limit: number): Promise<readonly Batch[]> {
    const reply = (await this.#work(shard, 'take-over', olderThan, limit)) as readonly string[];
    return decodeBatches(shard, reply);
  }

  async staleIntents(shard: number, olderThan: number, limit: number): Promise<readonly string[]> {
    return (await this.#work(shard, 'stale-intents', olderThan, limit)) as readonly string[];
  }

  async sweepIntents(
    shard: number,
    intentIds: readonly string[],
    barrier: bigint,
  ): Promise<{ readonly targets: readonly string[]; readonly wakeUps: readonly WakeUp[] }> {
    const reply = await this.#work(shard, 'sweep-intents', this.#options.window, barrier.toString(), ...intentIds);
    const [targets, ...times] = reply as readonly [readonly string[], ...TimesReply];
    return { targets, wakeUps: decodeWakeUps(shard, ...times) };
  }

  async requestRepair(shard: number, targets: readonly string[], barrier: bigint): Promise<readonly WakeUp[]> {
    const reply = await this.#work(shard, 'request-repair', this.#options.window, barrier.toString(), ...targets);
    return decodeWakeUps(shard, ...(reply as TimesReply));
  }

  async postpone(shard: number, targets: readonly string[], delay: number, token = ''): Promise<readonly WakeUp[]> {
    const reply = await this.#work(shard, 'postpone', delay, this.#options.window, token, ...targets);
    return decodeWakeUps(shard, ...(reply as TimesReply));
  }

  async dueRecalculations(
    shard: number,
    limit: number,
  ): Promise<readonly { readonly target: string; readonly repair: boolean }[]> {
    const reply = (await this.#work(shard, 'due-recalculations', limit)) as readonly (string | number)[];
    return Array.from({ length: reply.length / 2 }, (_, i) => ({
      target: String(reply[2 * i]),
      repair: reply[2 * i + 1] === 1,
    }));
  }

  async acquireLease(
    shard: number,
    token: string,
    targets: readonly string[],
    options: { readonly ttl: number; readonly horizon: bigint; readonly plain?: boolean },
  ): Promise<readonly LeaseOutcome[]> {
    return (await this.#work(
      shard,
      'acquire-lease',
      token,
      options.ttl,
      options.horizon.toString(),
      options.plain === true ? 1 : 0,
      ...targets,
    )) as readonly LeaseOutcome[];
  }

  async renewLease(shard: number, token: string, targets: readonly string[], ttl: number): Promise<void> {
    await this.#work(shard, 'renew-lease', token, ttl, ...targets);
  }

  async releaseLease(shard: number, token: string, targets: readonly string[]): Promise<void> {
    await this.#work(shard, 'release-lease', token, ...targets);
  }

  async finalize(
    shard: number,
    token: string,
    snapshot: Snapshot,
    recounts: readonly Recount[],
    options: FinalizeOptions,
  ): ReturnType<DeltaBuffer['finalize']> {
    const reply = await this.#work(
      shard,
      'finalize',
      token,
      this.#options.window,
      snapshot.xmin.toString(),
      snapshot.xmax.toString(),
      JSON.stringify(snapshot.inProgress.map(String)),
      options.consume ? 1 : 0,
      options.dry ? 1 : 0,
      encodeRecounts(recounts),
    );
    const [now, reconcile, recalculate, outcomes, dirty] = reply as readonly [
      ...TimesReply,
      Parameters<typeof decodeOutcomes>[1],
      readonly string[],
    ];
    const wakeUps = decodeWakeUps(shard, now, reconcile, recalculate);
    return { outcomes: decodeOutcomes(recounts, outcomes), dirty, wakeUps };
  }

  async read(
    shard: number,
    targets: readonly string[],
  ): Promise<{ readonly version: number; readonly held: readonly Held[] }> {
    const reply = await this.#work(shard, 'read', ...targets);
    const [version, pending, stored] = reply as readonly [number, readonly (readonly string[])[], readonly string[]];
    const batches = decodeBatches(shard, stored);
    const held = targets.map((target, i) => ({
      target,
      pending: decodeAmounts(pending[i] ?? []),
      claims: batches.flatMap(({ id, entries }) =>
        entries.filter((entry) => entry.target === target).map(({ amounts }) => ({ batch: id, amounts })),
      ),
    }));
    return { version, held };
  }

  async status(shard: number): Promise<ShardStatus> {
    const reply = await this.#work(shard, 'status');
    const [dirty, oldestDue, batches, intents, recalculations, failed, now, repairs] = reply as readonly [
      number,
      number | null,
      number,
      number,
      number,
      readonly string[],
      number,
      number,
    ];
    const parked = Array.from({ length: failed.length / 2 }, (_, i) => ({
      target: failed[2 * i] ?? '',
      reason: failed[2 * i + 1] ?? '',
    }));
    return { shard, dirty, oldestDue, batches, intents, recalculations, repairs, failed: parked, now };
  }

  async retryFailed(
    shard: number,
    targets: readonly string[] | null,
  ): Promise<{ readonly count: number; readonly wakeUps: readonly WakeUp[] }> {
    if (targets?.length === 0) return { count: 0, wakeUps: [] };
    const reply = await this.#work(shard, 'retry-failed', this.#options.window, ...(targets ?? []));
    const [now, reconcile, recalculate, count] = reply as readonly [...TimesReply, number];
    return { count, wakeUps: decodeWakeUps(shard, now, reconcile, recalculate) };
  }

  #work(shard: number, script: ScriptName, ...args: (string | number)[]): Promise<unknown> {
    return runScript(this.#options.worker, script, this.#keysOf(script, shard), args).catch(
      unavailable({ shard, call: script }),
    );
  }

  #keysOf(script: ScriptName, shard: number): readonly string[] {
    const cached = this.#keys.get(`${script} ${shard}`);
    if (cached !== undefined) return cached;
    const keys = SCRIPTS[script].map((key) => shardKey(this.#options.prefix, this.#options.installation, shard, key));
    this.#keys.set(`${script} ${shard}`, keys);
    return keys;
  }
}

function decodeBatches(shard: number, flat: readonly string[]): Batch[] {
  return Array.from({ length: flat.length / 2 }, (_, i) =>
    decodeBatch(flat[2 * i] ?? '', shard, flat[2 * i + 1] ?? ''),
  );
}

/** What ioredis rejects with says neither what was asked nor what that means. */
function unavailable(context: { readonly shard?: number; readonly call: string }): (cause: unknown) => never {
  return (cause) => {
    if (cause instanceof TypeError) throw cause;
    const message = reasonOf(cause as Error);
    const what =
      cause instanceof ReplyError
        ? `Redis refused '${context.call}': ${message}. Look at its memory, its role and its settings`
        : `Redis does not answer: ${message}. What is pending there waits; try again when it answers`;
    throw new BufferUnavailableError(what, context, { cause });
  };
}

/** What ioredis says of a connection that is down speaks of options that are the library's own. */
function reasonOf({ message }: Error): string {
  return /maxRetriesPerRequest|enableOfflineQueue/.test(message)
    ? 'its connection is down'
    : message.replace(/\.$/, '');
}

/** Managed services may forbid INFO; a connection that is down is another matter. */
function refusedInfo(error: unknown): string {
  if (error instanceof ReplyError) return '';
  return unavailable({ call: 'info' })(error);
}
