import type { DataSource } from 'typeorm';

import type { DeltaBuffer } from './engines/buffered/buffer';
import {
  closeConnections,
  evictionPolicy,
  mayInfo,
  openConnections,
  redisOptionsOf,
} from './engines/buffered/redis/connection';
import { addressOf } from './engines/buffered/redis/connection-attempt';
import { type AccessOptions, assertAccess, type KeyUse } from './engines/buffered/redis/permissions';
import { RedisHome } from './engines/buffered/redis/home';
import { type RedisConnections, RedisBuffer } from './engines/buffered/redis/redis-buffer';
import { readIdentity } from './dialects/postgres/catalogue/identity';
import { BufferUnavailableError, ConfigurationError, CounterCacheError } from './errors';
import type { Events } from './events';
import { BullMqScheduler } from './schedule/bullmq/bullmq-scheduler';
import { CONSUMER_COMMANDS, PRODUCER_COMMANDS } from './schedule/bullmq/permissions';
import type { Scheduler } from './schedule/scheduler';
import { type SweptEpochs, sweepEpochs } from './recount/lost-shards';
import type { ResolvedCountersOptions } from './options';
import { Outage } from './outage';
import { isNotPermitted } from './dialects/postgres/permissions/permissions';
import { withPinnedPath } from './dialects/postgres/catalogue/catalogue-of';
import { bindToHome } from './dialects/postgres/installation/buffer-home';
import { noteCountedTables } from './dialects/postgres/installation/counted-tables';
import type { ProcessSelf } from './dialects/postgres/installation/processes';
import { rowsOf, withConnection } from './dialects/postgres/query';
import { besidePool, besidePoolWithin } from './dialects/postgres/side-connection';
import { loadInstallation } from './dialects/postgres/installation/state';
import { locateTables, type TablePaths, tablePaths } from './dialects/postgres/installation/tables';
import { withTimeout } from './time-limit';

/** The parts that exist once our tables can be read. */
export interface Installation {
  readonly id: string;
  readonly tables: TablePaths;
  readonly buffer: DeltaBuffer;
  readonly scheduler: Scheduler;
  /** Why the installation is a new one, which this process has just made for a copy of a database; otherwise `null`. */
  readonly copied: string | null;
  /**
   * Makes sure that pending deltas are kept where the other processes keep theirs, and says that this process lives;
   * `null` with a buffer of the user's own.
   *
   * @throws CounterCacheError `STATE_MISMATCH` when others keep them elsewhere
   */
  readonly bindToHome: ((dataSource: DataSource) => Promise<void>) | null;
}

/** What to open, and what to call. */
export interface OpenOptions {
  /** What counts, and in which tables: path → escaped name with its schema. */
  readonly tables: ReadonlyMap<string, string>;
  /** Data of the buffer are lost, or recounts after a loss are still to be requested. */
  readonly onLost: (swept: SweptEpochs) => void;
  /** This process has made the installation for a copy of a database. */
  readonly onCopied: (reason: string) => void;
}

/** What the database says of an installation. */
type Found = Pick<Installation, 'id' | 'copied' | 'tables'>;

/** The longest that opening, or starting a worker, waits for the buffer, ms: a write may be waiting for it. */
const EPOCH_TIMEOUT = 1_000;

/** Jobs that fail within this time of each other fail in one outage, ms: a failed one is tried again after some seconds. */
const JOB_OUTAGE = 60_000;

/** Opens buffer and scheduler, and closes those of them that it opened. */
export class Installer {
  readonly #dataSource: DataSource;
  readonly #options: ResolvedCountersOptions;
  readonly #events: Events;
  readonly #onDegraded: (error: unknown) => void;
  readonly #self: ProcessSelf;
  #connections: RedisConnections | null = null;
  #mayInfo = true;
  #current: Installation | null = null;
  /** Those that were opened here, and are not closed. */
  readonly #schedulers = new Set<Scheduler>();

  constructor(
    dataSource: DataSource,
    options: ResolvedCountersOptions,
    events: Events,
    onDegraded: (error: unknown) => void,
    self: ProcessSelf,
  ) {
    this.#self = self;
    this.#dataSource = dataSource;
    this.#options = options;
    this.#events = events;
    this.#onDegraded = onDegraded;
  }

  /** @throws BufferUnavailableError when Redis does not answer within `attachTimeout`, or refuses what is needed */
  async connect(): Promise<void> {
    if (this.#options.buffer !== null) return;
    const access = this.#access(PRODUCER_COMMANDS);
    // A lost connection is reported by the calls that fail, and comes back by itself.
    this.#connections = await openConnections(this.#redis(), this.#options, () => undefined, access);
    const { worker } = this.#connections;
    this.#mayInfo = await mayInfo(worker);
    if (!this.#mayInfo && !this.#options.durableRedis) this.#events.emit('error', unknownIncarnation());
    const policy = await evictionPolicy(worker);
    if (policy !== null && policy !== 'noeviction') {
      this.#events.emit(
        'error',
        new ConfigurationError([
          `Redis has maxmemory-policy ${policy}: an evicted key is a lost count. Set it to noeviction`,
        ]),
      );
    }
  }

  /**
   * Asks whether a worker may do what it needs, but of a Redis that is away: a worker works without, too.
   *
   * @throws BufferUnavailableError with the permissions that are missing
   */
  async assertWorkerAccess(): Promise<void> {
    if (this.#connections === null || this.#options.scheduler !== null) return;
    const { worker } = this.#connections;
    const access = this.#access([...PRODUCER_COMMANDS, ...CONSUMER_COMMANDS]);
    const asking = assertAccess(worker, access, addressOf(worker.options)).catch(onlyRefusals);
    await withTimeout(asking, EPOCH_TIMEOUT, undefined);
  }

  #access(commands: readonly string[]): AccessOptions {
    const { prefix, shards, queue, scheduler } = this.#options;
    const key = `${queue.prefix ?? 'bull'}:${prefix}-probe:wait`;
    const use: KeyUse | null = scheduler === null ? { key, commands } : null;
    return { prefix, shards, queue: use };
  }

  /**
   * Reads the installation, and makes sure that buffer and SQL agree on what it holds.
   *
   * @throws TablesMissingError, or CounterCacheError `STATE_MISMATCH`
   */
  async open({ tables, onLost, onCopied }: OpenOptions): Promise<Installation> {
    const installation = this.#installation(await this.#load(tables));
    if (installation.copied !== null) onCopied(installation.copied);
    try {
      const swept = await this.#sweep(installation);
      // Of a copy it is reported already why they are lost.
      if (swept.isRebuilding) onLost(installation.copied === null ? swept : { ...swept, lost: [] });
    } catch (error) {
      if (error instanceof CounterCacheError && error.code === 'STATE_MISMATCH') throw error;
      // Writes go on while the buffer is away; a worker's sweep looks at the epochs again.
      if (!isNotPermitted(error)) this.#onDegraded(error);
    }
    return installation;
  }

  /**
   * Beside the pool, every connection of which may be held by a transaction whose write waits for this. Asked outside a
   * transaction who it is: a refused question would end it.
   */
  async #load(counted: OpenOptions['tables']): Promise<Found> {
    const dataSource = this.#dataSource;
    const identity = await besidePool('always', () =>
      withConnection(dataSource, (runner) => readIdentity((...query) => rowsOf(runner, ...query))),
    );
    return withPinnedPath(dataSource, async (runner) => {
      const paths = tablePaths(dataSource);
      const { id, copied } = await loadInstallation(runner, paths, this.#options.shards, identity);
      const tables = await locateTables(runner, paths, identity);
      await noteCountedTables(runner, tables, counted);
      return { id, copied, tables };
    });
  }

  async #sweep({ buffer, tables, bindToHome: bind }: Installation): Promise<SweptEpochs> {
    const dataSource = this.#dataSource;
    const limit = Math.max(EPOCH_TIMEOUT, this.#options.redisTimeout);
    // Part of it holds the connection until the buffer answers.
    const swept = await besidePoolWithin(dataSource, { limit, when: 'always' }, () =>
      sweepEpochs({ buffer, dataSource, tables, bindToHome: bind }),
    );
    if (swept !== null) return swept;
    const reason = `the buffer did not answer within ${limit} ms while the installation was opened. Writes go on by way of the outbox, and a worker's sweep looks again`;
    throw new BufferUnavailableError(reason, { limit });
  }

  #installation(found: Found): Installation {
    const { id } = found;
    // A DataSource that was destroyed and initialized again usually finds the installation it knows.
    if (this.#current?.id === id)
      return (this.#current = { ...this.#current, ...found, bindToHome: this.#homeOf(found) });
    // The scheduler of another one stays open until workers have left it: its handlers may wait for what waits for this.
    this.#current = {
      ...found,
      buffer: this.#options.buffer ?? this.#redisBuffer(id),
      bindToHome: this.#homeOf(found),
      scheduler: this.#options.scheduler ?? this.#bullMq(id),
    };
    return this.#current;
  }

  /** Closes the schedulers of installations that were opened before; workers have left them. */
  async closeFormer(): Promise<void> {
    const former = [...this.#schedulers].filter((scheduler) => scheduler !== this.#current?.scheduler);
    await Promise.all(former.map((scheduler) => this.#closeScheduler(scheduler)));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#schedulers].map((scheduler) => this.#closeScheduler(scheduler)));
    if (this.#connections !== null) await closeConnections(this.#connections);
  }

  async #closeScheduler(scheduler: Scheduler): Promise<void> {
    await scheduler.close();
    this.#schedulers.delete(scheduler);
  }

  #homeOf({ id, tables }: Found): Installation['bindToHome'] {
    if (this.#options.buffer !== null || this.#connections === null) return null;
    const home = new RedisHome(this.#connections.worker, this.#options.prefix, id);
    return async (dataSource) => {
      const refusal = await bindToHome(dataSource, tables, home, this.#self);
      if (refusal !== null) throw refusal;
    };
  }

  #redisBuffer(installation: string): DeltaBuffer {
    if (this.#connections === null) throw new Error('connect() comes before open()');
    const { prefix, shards, window, durableRedis } = this.#options;
    return new RedisBuffer({ ...this.#connections, prefix, installation, shards, window, durableRedis });
  }

  #bullMq(installation: string): Scheduler {
    const { prefix, queue } = this.#options;
    const failures = new Outage((error) => this.#events.emit('error', error), { quiet: JOB_OUTAGE });
    const scheduler = new BullMqScheduler({
      connection: redisOptionsOf(this.#redis()) as ConstructorParameters<typeof BullMqScheduler>[0]['connection'],
      queueName: `${prefix}-${installation}`,
      mayInfo: this.#mayInfo,
      ...(queue.prefix === undefined ? {} : { queuePrefix: queue.prefix }),
      ...(queue.jobOptions === undefined ? {} : { jobOptions: queue.jobOptions }),
      onError: (error) => failures.failed(error),
    });
    this.#schedulers.add(scheduler);
    return scheduler;
  }

  #redis(): NonNullable<ResolvedCountersOptions['redis']> {
    const { redis } = this.#options;
    if (redis === null)
      throw new ConfigurationError([
        'option redis is missing: give an ioredis client, options or a URL, or both `buffer` and `scheduler`',
      ]);
    return redis;
  }
}

function unknownIncarnation(): ConfigurationError {
  const reason = 'this user of Redis may not run INFO, so it is not noticed when Redis is restarted with older data';
  const advice = 'Grant +info, or set `durableRedis` if Redis has every write on disk before it answers';
  return new ConfigurationError([`${reason}. ${advice}`]);
}

function onlyRefusals(error: unknown): void {
  if (error instanceof BufferUnavailableError) throw error;
}
