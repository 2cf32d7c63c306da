import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Between, DataSource } from 'typeorm';
import { Counters, type CountersOptions } from 'typeorm-counter-cache';

import { shardKey } from '../../src/engines/buffered/redis/keys';
import { usedMemory } from '../redis-info';
import { Product, Review } from './entities';

/** Where the servers are. */
export interface Servers {
  readonly databaseUrl: string;
  readonly redisUrl: string;
}

/** Bytes of Redis per target. */
export interface Memory {
  readonly dirty: number;
  /** What is left until the recalculation. */
  readonly applied: number;
}

/** Keys are as long as those of a table that has been filled for years. */
export const FIRST_ID = 1_000_000_000;

/** Due as soon as possible, so that a benchmark need not wait; all else is as by default, but for a busy machine. */
export const OPTIONS = { wait: 1, redisTimeout: 10_000 } as const satisfies Partial<CountersOptions>;

/** Reviews changed by one transaction. */
const CHUNK = 5_000;
/** Transactions at the same time. */
const WRITERS = 4;
/** Targets made dirty, and applied, before memory is measured: few among all of them. */
const WARM_UP = 100;
/** Shards, by default. */
const SHARDS = 16;
/** How often it is looked whether anything is left, ms. */
const POLL = 10;

/** A DataSource of the benchmark. */
export function newDataSource(url: string): DataSource {
  return new DataSource({ type: 'postgres', url, entities: [Product, Review] });
}

/** A database with products and a review of each, and a process that writes: it makes targets dirty, and has no worker. */
export class Stage {
  readonly dataSource: DataSource;
  readonly counters: Counters;
  readonly redis: Redis;
  readonly products: number;
  #published = false;

  private constructor(dataSource: DataSource, counters: Counters, redis: Redis, products: number) {
    this.dataSource = dataSource;
    this.counters = counters;
    this.redis = redis;
    this.products = products;
  }

  static async open({ databaseUrl, redisUrl }: Servers, products: number): Promise<Stage> {
    const dataSource = newDataSource(databaseUrl);
    const counters = await Counters.attach(dataSource, { redis: redisUrl, ...OPTIONS });
    counters.on('error', (error) => console.error(error));
    await dataSource.initialize();
    await dataSource.query('DROP SCHEMA IF EXISTS shop CASCADE');
    await dataSource.query('CREATE SCHEMA shop');
    await dataSource.synchronize();
    const ids = `generate_series(${FIRST_ID}, ${FIRST_ID + products - 1}) AS id`;
    await dataSource.query(`INSERT INTO shop.product (id, name, price) SELECT id, 'product ' || id, 100 FROM ${ids}`);
    await dataSource.query(`INSERT INTO shop.review (id, "productId", text) SELECT id, id, 'as expected' FROM ${ids}`);
    await dataSource.query('VACUUM ANALYZE');
    return new Stage(dataSource, counters, new Redis(redisUrl), products);
  }

  /**
   * Publishes, or takes back, a review of each of the first `targets` products: one delta each, captured, announced and
   * confirmed like every other.
   *
   * @returns milliseconds until the last delta was confirmed
   */
  async makeDirty(targets: number): Promise<number> {
    this.#published = !this.#published;
    const began = performance.now();
    let next = 0;
    const write = async (): Promise<void> => {
      while (next < targets) {
        const from = next;
        next += CHUNK;
        const id = Between(String(FIRST_ID + from), String(FIRST_ID + Math.min(next, targets) - 1));
        await this.dataSource.manager.update(Review, { id }, { published: this.#published });
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, write));
    await this.counters.settled();
    return performance.now() - began;
  }

  /** Resolves when everything dirty is due. */
  async due(): Promise<void> {
    await delay(1_000 + OPTIONS.wait);
  }

  /** Resolves when nothing is dirty and nothing claimed. */
  async drained(): Promise<void> {
    const installation = await this.#installation();
    // One command: asking for the status at every look would take a tenth of a processor from those who are measured.
    const keys = Array.from({ length: SHARDS }, (_, shard) => shard).flatMap((shard) =>
      (['due', 'batches'] as const).map((key) => shardKey('cc', installation, shard, key)),
    );
    for (;;) {
      const left = await this.redis.exists(...keys);
      if (left === 0) break;
      await delay(POLL);
    }
    const { dirty, batches } = await this.counters.status();
    if (dirty + batches > 0) throw new Error(`${dirty} targets are dirty, and ${batches} batches claimed`);
  }

  /** Brings the tables into the same state before every sample: no dead rows. */
  async settle(): Promise<void> {
    await this.dataSource.query('VACUUM shop.product');
    await this.dataSource.query('VACUUM shop.review');
  }

  /** Bytes that Redis uses for data and its administration. */
  usedMemory(): Promise<number> {
    return usedMemory(this.redis);
  }

  /** What a dirty target takes in Redis, where targets have never been dirty before. */
  async memoryPerTarget(): Promise<Memory> {
    // Scripts and buffers are there once.
    for (let i = 0; i < 2; i++) {
      await this.makeDirty(WARM_UP);
      await this.counters.flush();
    }
    const before = await this.usedMemory();
    await this.makeDirty(this.products);
    const dirty = await this.usedMemory();
    await this.counters.flush();
    const applied = await this.usedMemory();
    return { dirty: (dirty - before) / this.products, applied: (applied - before) / this.products };
  }

  /** Jobs that were ever added to the library's queue. */
  async jobs(): Promise<number> {
    return Number((await this.redis.get(`bull:cc-${await this.#installation()}:id`)) ?? 0);
  }

  /** Products whose counter is not what their reviews say. */
  async wrong(): Promise<number> {
    const [row] = await this.dataSource.query<{ wrong: string }[]>(
      `SELECT count(*) AS wrong FROM shop.product p WHERE p."reviewsCount" <>
         (SELECT count(*) FROM shop.review r WHERE r."productId" = p.id AND r.published)`,
    );
    return Number(row?.wrong);
  }

  async #installation(): Promise<string> {
    const [row] = await this.dataSource.query<{ value: string }[]>(
      `SELECT "value" FROM "counter_cache_state" WHERE "id" = 'installation'`,
    );
    return row?.value ?? '';
  }

  async close(): Promise<void> {
    await this.counters.close();
    await this.dataSource.destroy();
    this.redis.disconnect();
  }
}
