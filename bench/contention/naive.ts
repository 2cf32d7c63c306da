import { Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type { DataSource } from 'typeorm';

import { TIMES } from './settings';

const QUEUE = 'naive';

interface Data {
  readonly author: number;
}

/** The writer's side of what is often built first: a key per parent, and a job per parent that waits. */
export class NaiveCounter {
  readonly #redis: Redis;
  readonly #queue: Queue<Data>;

  constructor(redisUrl: string) {
    this.#redis = new Redis(redisUrl);
    this.#queue = new Queue(QUEUE, { connection: { url: redisUrl } });
  }

  async add(author: number, posts: number): Promise<void> {
    await this.#redis.incrby(`naive:${author}`, posts);
    await this.#queue.add(
      'apply',
      { author },
      { jobId: `author-${author}`, delay: TIMES.wait, removeOnComplete: true, removeOnFail: true },
    );
  }

  async close(): Promise<void> {
    await this.#queue.close();
    await this.#redis.quit();
  }
}

/** The worker's side. */
export function startNaiveWorker(redisUrl: string, dataSource: DataSource, author: string): Worker<Data> {
  const redis = new Redis(redisUrl);
  const worker = new Worker<Data>(
    QUEUE,
    async ({ data }) => {
      const posts = Number((await redis.getdel(`naive:${data.author}`)) ?? 0);
      if (posts !== 0)
        await dataSource.query(`UPDATE "${author}" SET "postsCount" = "postsCount" + $2 WHERE id = $1`, [
          data.author,
          posts,
        ]);
    },
    { connection: { url: redisUrl }, concurrency: 16 },
  );
  worker.on('closed', () => redis.disconnect());
  return worker;
}
