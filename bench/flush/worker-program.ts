// A worker process of the library, as in production; it starts and stops its worker when told to.
import 'reflect-metadata';

import { Client } from 'pg';
import { Counters, type CounterWorker } from 'typeorm-counter-cache';

import { serve } from '../child';
import { longestPause, processorTime } from '../own-process';
import { longestOf } from './longest-statement';
import { newDataSource, OPTIONS } from './stage';

/** What the worker is told. */
export type Order = 'start' | 'stop';

/** What the worker did between start and stop. */
export interface WorkerFigures {
  /** Milliseconds of the longest SQL statement, seen from this process. */
  readonly statement: number;
  /** Milliseconds of the longest time in which the event loop could not turn. */
  readonly pause: number;
  /** Bytes by which the process was larger at its largest, since it was ready, than when it was ready. */
  readonly growth: number;
  /** Milliseconds of processor time of the process. */
  readonly cpu: number;
  readonly failures: readonly string[];
}

/** How often it is looked whether the event loop turns, ms. */
const RESOLUTION = 5;

async function main(): Promise<void> {
  const [, , databaseUrl = '', redisUrl = '', batch = ''] = process.argv;
  const dataSource = newDataSource(databaseUrl);
  const counters = await Counters.attach(dataSource, { redis: redisUrl, ...OPTIONS, batchSize: Number(batch) });
  const failures: string[] = [];
  counters.on('error', (error) => failures.push(String(error)));
  counters.on('failed', ({ reason }) => failures.push(reason));
  await dataSource.initialize();
  const statements = longestOf(Client.prototype);
  const ready = process.memoryUsage.rss();
  let worker: CounterWorker | null = null;
  let pause = (): number => 0;
  let cpu = (): number => 0;

  const start = async (): Promise<'started'> => {
    statements.reset();
    pause = longestPause(RESOLUTION);
    failures.length = 0;
    cpu = processorTime();
    worker = await counters.startWorker();
    return 'started';
  };
  const stop = async (): Promise<WorkerFigures> => {
    const figures = { pause: pause(), cpu: cpu() / 1_000 };
    await worker?.close();
    return {
      ...figures,
      statement: statements.longest(),
      growth: process.resourceUsage().maxRSS * 1_024 - ready,
      failures: [...failures],
    };
  };
  serve(
    (order) => ((order as Order) === 'start' ? start() : stop()),
    async () => {
      await counters.close();
      await dataSource.destroy();
    },
  );
}

void main();
