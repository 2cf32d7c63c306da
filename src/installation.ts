import type { DataSource } from 'typeorm';

import type { DeltaBuffer } from './buffer/buffer';
import { closeConnections, evictionPolicy, openConnections, redisOptionsOf } from './buffer/redis/connection';
import { type RedisConnections, RedisBuffer } from './buffer/redis/redis-buffer';
import { BufferUnavailableError, ConfigurationError } from './errors';
import type { Events } from './events';
import { BullMqScheduler } from './jobs/bullmq/bullmq-scheduler';
import type { Scheduler } from './jobs/scheduler';
import { type SweptEpochs, sweepEpochs } from './jobs/sweep';
import type { ResolvedCountersOptions } from './options';
import { isDirect } from './sql/direct';
import { withConnection } from './sql/query';
import { besidePool, sideConnectionOf } from './sql/side-connection';
import { loadInstallation } from './sql/state';
import { type TablePaths, tablePaths } from './sql/tables';
import { within } from './time-limit';

/** The parts that exist once our tables can be read. */
export interface Installation {
  readonly id: string;
  readonly tables: TablePaths;
  readonly buffer: DeltaBuffer;
  readonly scheduler: Scheduler;
  /** Connections are sessions of the database, and keep what is prepared on them; looked at only if anything is to be prepared. */
  readonly isDirect: boolean;
}

/** The longest that opening waits for the buffer, ms: a write may be waiting for it. */
const EPOCH_TIMEOUT = 1_000;

/** Opens buffer and scheduler, and closes those of them that it opened. */
export class Installer {
  readonly #dataSource: DataSource;
  readonly #options: ResolvedCountersOptions;
  readonly #events: Events;
  readonly #onDegraded: (error: unknown) => void;
  #connections: RedisConnections | null = null;
  #current: Installation | null = null;

  constructor(
    dataSource: DataSource,
    options: ResolvedCountersOptions,
    events: Events,
    onDegraded: (error: unknown) => void,
  ) {
    this.#dataSource = dataSource;
    this.#options = options;
    this.#events = events;
    this.#onDegraded = onDegraded;
  }

  /** @throws BufferUnavailableError when Redis does not answer within `attachTimeout` */
  async connect(): Promise<void> {
    if (this.#options.buffer !== null) return;
    // A lost connection is reported by the calls that fail, and comes back by itself.
    this.#connections = await openConnections(this.#redis(), this.#options, () => undefined);
    const policy = await evictionPolicy(this.#connections.worker);
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
   * Reads the installation, and makes sure that buffer and SQL agree on what it holds.
   *
   * @throws TablesMissingError, or CounterCacheError `STATE_MISMATCH`
   */
  async open(onLost: (swept: SweptEpochs) => void): Promise<Installation> {
    const tables = tablePaths(this.#dataSource);
    const shards = this.#options.buffer?.shards ?? this.#options.shards;
    const dataSource = this.#dataSource;
    // Every connection of the pool may be held by a transaction whose write waits for this.
    const found = await besidePool('always', () =>
      withConnection(dataSource, async (runner) => ({
        tables,
        id: await loadInstallation(runner, tables, shards),
        isDirect: this.#options.preparedStatements && (await isDirect(runner)),
      })),
    );
    const installation = await this.#installation(found);
    try {
      const swept = await this.#sweepEpochs(installation);
      if (swept.isRebuilding) onLost(swept);
    } catch (error) {
      // Writes go on while the buffer is away; a worker's sweep looks at the epochs again.
      this.#onDegraded(error);
    }
    return installation;
  }

  async #sweepEpochs({ buffer, tables }: Installation): Promise<SweptEpochs> {
    const dataSource = this.#dataSource;
    const sweep = besidePool('always', () => sweepEpochs({ buffer, dataSource, tables }));
    const limit = Math.max(EPOCH_TIMEOUT, this.#options.redisTimeout);
    const swept = await within(sweep, limit, null);
    if (swept !== null) return swept;
    // It may hold the connection until the buffer answers.
    sideConnectionOf(dataSource).giveUp();
    const reason = `the buffer did not answer within ${limit} ms: looked at again by the sweeps of workers`;
    throw new BufferUnavailableError(reason, { limit });
  }

  async #installation(found: Pick<Installation, 'id' | 'tables' | 'isDirect'>): Promise<Installation> {
    const { id } = found;
    // A DataSource that was destroyed and initialized again usually finds the installation it knows.
    if (this.#current?.id === id) return (this.#current = { ...this.#current, ...found });
    if (this.#options.scheduler === null) await this.#current?.scheduler.close();
    this.#current = {
      ...found,
      buffer: this.#options.buffer ?? this.#redisBuffer(id),
      scheduler: this.#options.scheduler ?? this.#bullMq(id),
    };
    return this.#current;
  }

  async close(): Promise<void> {
    if (this.#options.scheduler === null) await this.#current?.scheduler.close();
    if (this.#connections !== null) await closeConnections(this.#connections);
  }

  #redisBuffer(installation: string): DeltaBuffer {
    if (this.#connections === null) throw new Error('connect() comes before open()');
    const { prefix, shards, window, survivesRestarts } = this.#options;
    return new RedisBuffer({ ...this.#connections, prefix, installation, shards, window, survivesRestarts });
  }

  #bullMq(installation: string): Scheduler {
    const { prefix, queue } = this.#options;
    return new BullMqScheduler({
      connection: redisOptionsOf(this.#redis()) as ConstructorParameters<typeof BullMqScheduler>[0]['connection'],
      queueName: `${prefix}-${installation}`,
      ...(queue.prefix === undefined ? {} : { queuePrefix: queue.prefix }),
      ...(queue.jobOptions === undefined ? {} : { jobOptions: queue.jobOptions }),
      onError: (error) => this.#events.emit('error', error),
    });
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
