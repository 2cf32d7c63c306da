// A worker process with what one would write by hand: a job names one target, and its UPDATE is the whole work.
import { Worker } from 'bullmq';
import { Pool } from 'pg';

import { serve } from '../child';
import { CONCURRENCY, type JobData, QUEUE } from './baseline';

async function main(): Promise<void> {
  const [, , databaseUrl = '', redisUrl = ''] = process.argv;
  const pool = new Pool({ connectionString: databaseUrl, max: CONCURRENCY });
  const apply = async ({ data: { id, amount } }: { readonly data: JobData }): Promise<void> => {
    await pool.query({
      // Prepared once per connection.
      name: 'increment',
      text: 'UPDATE shop.product SET "reviewsCount" = "reviewsCount" + $1 WHERE id = $2',
      values: [amount, id],
    });
  };
  const connection = { url: redisUrl, maxRetriesPerRequest: null };
  const worker = new Worker<JobData>(QUEUE, apply, { connection, concurrency: CONCURRENCY, autorun: false });
  await worker.waitUntilReady();
  let running: Promise<void> | null = null;
  const orders: Readonly<Record<string, () => Promise<void>>> = {
    async start() {
      if (running === null) running = worker.run();
      else await worker.resume();
    },
    stop: () => worker.pause(),
  };
  serve(
    async (order) => {
      await orders[String(order)]?.();
      return 'done';
    },
    async () => {
      await worker.close();
      await pool.end();
    },
  );
}

void main();
