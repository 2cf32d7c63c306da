import { getHeapStatistics } from 'node:v8';
import type { Pool } from 'pg';
import { DataSource } from 'typeorm';

import { processorTime } from '../own-process';
import type { Variant } from '../rounds';
import { watchStatements } from '../statements';
import { median } from '../statistics';
import { ENTITIES } from './entities';
import type { Batch, Operation } from './operations';

/** Per write. */
export type Figures = {
  /** Microseconds from the call until it resolves: the median of a batch. */
  readonly wall: number;
  /** Microseconds of processor time of the process, all of its threads together: the mean of a batch. */
  readonly cpu: number;
};

/** What is the same for every write. */
export interface Fixed {
  readonly queries: number;
  /** Bytes that the process allocates. */
  readonly allocated: number;
}

/** The first writes of a batch are not timed: the processor's caches still hold what ran before. */
const UNTIMED = 4;
const TIMED = 20;

/**
 * Writes until a connection is replaced. The kernel keeps the server's process of a connection on a good processor or on
 * a bad one for long; with several connections after each other neither lasts for the whole run.
 */
const CONNECTION_USES = 500;

/** A DataSource of the benchmark: one connection at a time. */
export function newDataSource(url: string): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    entities: ENTITIES,
    poolSize: 1,
    extra: { maxUses: CONNECTION_USES },
  });
}

/** TypeORM's driver for PostgreSQL, as far as we touch it. */
interface Pooled {
  master: Pool;
}

/** A DataSource under measurement. */
export class Subject implements Variant<Figures> {
  readonly name: string;
  readonly dataSource: DataSource;
  readonly #driver: Pooled;
  readonly #pool: Pool;
  #prepare: () => Promise<Batch> = async () => [];

  constructor(name: string, dataSource: DataSource) {
    this.name = name;
    this.dataSource = dataSource;
    this.#driver = dataSource.driver as unknown as Pooled;
    this.#pool = this.#driver.master;
  }

  /**
   * Writes through the connection of another from now on. Two connections differ by more than what is measured here,
   * and for many rounds on end.
   */
  useConnectionOf(other: Subject): void {
    this.#driver.master = other.#pool;
  }

  /** What is sampled from now on. */
  async open(operation: Operation): Promise<void> {
    this.#prepare = await operation.open(this.dataSource.manager, UNTIMED + TIMED);
  }

  async sample(): Promise<Figures> {
    const batch = await this.#prepare();
    for (const write of batch.slice(0, UNTIMED)) await write();
    const timed = batch.slice(UNTIMED);
    const walls: number[] = [];
    const cpu = processorTime();
    for (const write of timed) {
      const began = performance.now();
      await write();
      walls.push(performance.now() - began);
    }
    return { wall: median(walls) * 1_000, cpu: cpu() / timed.length };
  }

  /** Counts what needs no clock. */
  async count(): Promise<Fixed> {
    const batch = await this.#prepare();
    // Of some writes a garbage collection makes it negative, or a new connection large.
    const allocated: number[] = [];
    for (const write of batch) {
      const { used_heap_size: before } = getHeapStatistics();
      await write();
      allocated.push(getHeapStatistics().used_heap_size - before);
    }
    return { queries: await this.#countQueries(), allocated: median(allocated) };
  }

  async #countQueries(): Promise<number> {
    const batch = await this.#prepare();
    const statements = watchStatements(this.dataSource);
    for (const write of batch) await write();
    return statements().count / batch.length;
  }

  async close(): Promise<void> {
    this.#driver.master = this.#pool;
    await this.dataSource.destroy();
  }
}
