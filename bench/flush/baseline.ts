import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';

import { Child } from '../child';
import type { Sample, Variant } from '../rounds';
import { FIRST_ID, type Servers, type Stage } from './stage';

/** What one job says. */
export interface JobData {
  readonly id: string;
  readonly amount: number;
}

/** Name of the queue. */
export const QUEUE = 'one-job-per-target';
/** Jobs at the same time, and connections. */
export const CONCURRENCY = 20;
/** From the first job added, while the worker runs, until the last target is updated. */
export const END_TO_END = 'one job per target, with adding';
/** All jobs wait before the worker starts. */
export const APPLY_ONLY = 'one job per target, without adding';
/** Jobs added at a time. */
const CHUNK = 1_000;
/** How often it is looked whether anything is left, ms. */
const POLL = 10;

/** Targets per second. */
export type Rate = Sample & { readonly rate: number };

/** One BullMQ job and one UPDATE per target. */
export class Baseline {
  readonly #stage: Stage;
  readonly #targets: number;
  readonly #queue: Queue<JobData>;
  readonly #worker: Child;

  private constructor(stage: Stage, targets: number, queue: Queue<JobData>, worker: Child) {
    this.#stage = stage;
    this.#targets = targets;
    this.#queue = queue;
    this.#worker = worker;
  }

  static async start(servers: Servers, stage: Stage, targets: number): Promise<Baseline> {
    const queue = new Queue<JobData>(QUEUE, { connection: { url: servers.redisUrl } });
    const worker = await Child.start(join(__dirname, 'baseline-program.js'), servers.databaseUrl, servers.redisUrl);
    return new Baseline(stage, targets, queue, worker);
  }

  get endToEnd(): Variant<Rate> {
    return {
      name: END_TO_END,
      sample: () =>
        this.#sample(async () => {
          await this.#worker.ask('start');
          await this.#add();
          await this.#applied();
        }),
    };
  }

  get applyOnly(): Variant<Rate> {
    return {
      name: APPLY_ONLY,
      sample: async () => {
        await this.#add();
        return this.#sample(async () => {
          await this.#worker.ask('start');
          await this.#applied();
        });
      },
    };
  }

  async close(): Promise<void> {
    await this.#worker.close();
    await this.#queue.obliterate({ force: true });
    await this.#queue.close();
  }

  async #sample(work: () => Promise<void>): Promise<Rate> {
    await this.#stage.settle();
    const began = performance.now();
    await work();
    const rate = (this.#targets / (performance.now() - began)) * 1_000;
    await this.#worker.ask('stop');
    return { rate };
  }

  async #add(): Promise<void> {
    for (let first = 0; first < this.#targets; first += CHUNK) {
      const count = Math.min(CHUNK, this.#targets - first);
      // Amounts of 0, so that what the other variants compare with their sources stays right; the UPDATE is the same.
      const jobs = Array.from({ length: count }, (_, i) => ({
        name: 'increment',
        data: { id: String(FIRST_ID + first + i), amount: 0 },
        opts: { removeOnComplete: true },
      }));
      await this.#queue.addBulk(jobs);
    }
  }

  async #applied(): Promise<void> {
    for (;;) {
      const { waiting = 0, active = 0 } = await this.#queue.getJobCounts('waiting', 'active');
      if (waiting + active === 0) return;
      await delay(POLL);
    }
  }
}
