// A worker process of the library, as in production; it starts and stops its worker when told to.
import 'reflect-metadata';

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Client } from 'pg';
import { Counters, type CounterWorker } from 'typeorm-counter-cache';

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
  const counters = await Counters.attach(dataSource, { redis: redisUrl, ...OPTIONS, batch: Number(batch) });
  const failures: string[] = [];
  counters.on('error', (error) => failures.push(String(error)));
  counters.on('failed', ({ reason }) => failures.push(reason));
  await dataSource.initialize();
  const statements = longestOf(Client.prototype);
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION });
  const ready = process.memoryUsage.rss();
  let worker: CounterWorker | null = null;
  let cpu = process.cpuUsage();

  const start = async (): Promise<void> => {
    statements.reset();
    delays.reset();
    delays.enable();
    failures.length = 0;
    cpu = process.cpuUsage();
    worker = await counters.startWorker();
  };
  const stop = async (): Promise<WorkerFigures> => {
    delays.disable();
    const { user, system } = process.cpuUsage(cpu);
    await worker?.close();
    return {
      statement: statements.longest(),
      pause: Math.max(0, delays.max / 1e6 - RESOLUTION),
      growth: process.resourceUsage().maxRSS * 1_024 - ready,
      cpu: (user + system) / 1_000,
      failures: [...failures],
    };
  };
  process.on('message', (order: Order) => {
    void (order === 'start' ? start() : stop()).then((figures) => process.send?.(figures ?? 'started'));
  });
  process.on('disconnect', () => void counters.close().then(() => dataSource.destroy()));
  process.send?.('ready');
}

void main();
