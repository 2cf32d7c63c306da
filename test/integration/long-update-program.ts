// Makes one long UPDATE, with counters or without, and says what it did to the process.
import { monitorEventLoopDelay } from 'node:perf_hooks';

import { Counters } from 'typeorm-counter-cache';

import { newDataSource, TEST_OPTIONS } from '../support/setup';
import { Depot, Parcel } from './depot';

/** What one update did to the process. */
export interface Figures {
  /** The longest task of the event loop by processor time, ms: others on the machine do not count. */
  readonly task: number;
  /** The longest pause, others included, ms. */
  readonly pause: number;
  /** By how much the process grew at the most, bytes. */
  readonly memory: number;
}

async function watching(work: () => Promise<unknown>): Promise<Figures> {
  const { rss } = process.memoryUsage();
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  let [task, memory] = [0, 0];
  let last = process.cpuUsage();
  let timer: NodeJS.Timeout;
  const look = (): void => {
    const { user, system } = process.cpuUsage(last);
    task = Math.max(task, (user + system) / 1_000);
    memory = Math.max(memory, process.memoryUsage().rss - rss);
    last = process.cpuUsage();
    timer = setTimeout(look, 2);
  };
  timer = setTimeout(look, 2);
  await work();
  clearTimeout(timer);
  look();
  clearTimeout(timer);
  delay.disable();
  return { task, pause: delay.max / 1e6, memory };
}

async function main(): Promise<void> {
  const dataSource = newDataSource(process.env['PROGRAM_DATABASE'] ?? '', [Depot, Parcel], { synchronize: false });
  const redis = process.env['PROGRAM_REDIS'];
  const counters = redis === undefined ? null : await Counters.attach(dataSource, { redis, ...TEST_OPTIONS });
  await dataSource.initialize();
  const update = (weight: string, where: string) =>
    dataSource
      .createQueryBuilder()
      .update(Parcel)
      .set({ weight: () => weight, closed: () => 'NOT closed' })
      .where(where)
      .execute();
  // What a process needs for the first of them is not what each of them needs.
  for (let round = 0; round < 2; round++) await update('weight', 'id <= 20000');
  const figures = await watching(() => update('weight + id % 3', 'true'));
  await counters?.close();
  await dataSource.destroy();
  process.send?.(figures);
  process.disconnect();
}

void main();
