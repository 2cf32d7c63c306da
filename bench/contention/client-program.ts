// The clients of one variant: a process like one of an application, which writes while it is asked to.
import 'reflect-metadata';

import { createHistogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import { serve } from '../child';
import { processorTime } from '../own-process';
import { entitiesOf } from './entities';
import { NaiveCounter } from './naive';
import { newPicker } from './picker';
import type { Scenario } from './scenarios';
import { CLIENTS, TIMES } from './settings';
import { type NewPosts, variantOf, type Write } from './variants';

/** PostgreSQL: deadlock_detected. */
const DEADLOCK = '40P01';

/** Writes for this long, in this way. */
export interface ClientRequest {
  readonly scenario: Scenario;
  readonly seconds: number;
}

/** Milliseconds at the start of a sample that are not measured: the process has slept, and all clients begin at once. */
const LEAD_IN = 150;

/** What the clients did. */
export type ClientSample = {
  /** Transactions per second. */
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Deadlocks per 1,000 transactions, each of which was tried again. */
  readonly deadlocks: number;
  /** Microseconds of processor time of this process, per transaction. */
  readonly cpu: number;
};

async function main(): Promise<void> {
  const [, , databaseUrl = '', redisUrl = '', name = ''] = process.argv;
  const variant = variantOf(name);
  const entities = entitiesOf(name, variant.mode);
  const dataSource = new DataSource({
    type: 'postgres',
    url: databaseUrl,
    entities: [entities.author, entities.post],
    poolSize: CLIENTS,
  });
  const counters = variant.mode === null ? null : await Counters.attach(dataSource, { redis: redisUrl, ...TIMES });
  await dataSource.initialize();
  const naive = new NaiveCounter(redisUrl);
  const elsewhere = { naive: (author: number, posts: number) => naive.add(author, posts) };
  serve(
    async (request) => {
      const { scenario, seconds } = request as ClientRequest;
      const write = variant.write({ dataSource, entities, method: scenario.method, elsewhere });
      const sample = await measure(write, scenario, seconds);
      await counters?.settled();
      return sample;
    },
    async () => {
      await counters?.close();
      await naive.close();
      await dataSource.destroy();
    },
  );
}

/** False for the victim of a deadlock. */
async function isWritten(write: Write, posts: NewPosts): Promise<boolean> {
  try {
    await write(posts);
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code !== DEADLOCK) throw error;
    return false;
  }
}

async function measure(write: Write, { parents, skew, rows }: Scenario, seconds: number): Promise<ClientSample> {
  const pick = newPicker(parents, skew);
  const histogram = createHistogram();
  let count = 0;
  let deadlocks = 0;
  const start = performance.now() + LEAD_IN;
  const end = start + seconds * 1_000;
  let cpu = processorTime();
  const client = async (): Promise<void> => {
    while (performance.now() < end) {
      const posts: NewPosts = Array.from({ length: rows }, () => ({ authorId: pick(), title: 'a title' }));
      const began = performance.now();
      let victims = 0;
      while (!(await isWritten(write, posts))) victims += 1;
      const ended = performance.now();
      if (ended < start) continue;
      count += 1;
      deadlocks += victims;
      if (began >= start) histogram.record(Math.max(1, Math.round((ended - began) * 1_000)));
    }
  };
  const leadIn = delay(LEAD_IN).then(() => (cpu = processorTime()));
  await Promise.all([leadIn, ...Array.from({ length: CLIENTS }, client)]);
  const cpuTime = cpu();
  return {
    perSecond: (count / (performance.now() - start)) * 1_000,
    p50: histogram.percentile(50) / 1_000,
    p99: histogram.percentile(99) / 1_000,
    deadlocks: (deadlocks / count) * 1_000,
    cpu: cpuTime / count,
  };
}

void main();
