import { join } from 'node:path';

import { Child } from '../child';
import type { Sample, Variant } from '../rounds';
import type { Servers, Stage } from './stage';
import type { Order, WorkerFigures } from './worker-program';

/** What one drain was like. */
export type Drain = Sample & {
  /** Targets per second, from the start of the first worker until nothing is dirty and nothing claimed. */
  readonly rate: number;
  /** The same, from the first write on that makes a target dirty; the second in which deltas wait for company is left out. */
  readonly rateWithWrites: number;
  /** BullMQ jobs added. */
  readonly jobs: number;
  /** Bytes of Redis per dirty target. */
  readonly memory: number;
  readonly statement: number;
  readonly pause: number;
  readonly growth: number;
  /** Microseconds of processor time of all workers, per target. */
  readonly cpu: number;
  readonly failures: number;
};

const ONE_WORKER = '1 worker';

/** Whether a variant of this name has a single worker process. */
export function isOfOneWorker(name: string): boolean {
  return name.endsWith(ONE_WORKER);
}

/** The library: one or more worker processes with a size of batches. */
export class Library implements Variant<Drain> {
  readonly name: string;
  readonly #stage: Stage;
  readonly #targets: number;
  readonly #workers: readonly Child[];

  private constructor(name: string, stage: Stage, targets: number, workers: readonly Child[]) {
    this.name = name;
    this.#stage = stage;
    this.#targets = targets;
    this.#workers = workers;
  }

  static async start(
    { databaseUrl, redisUrl }: Servers,
    stage: Stage,
    options: { readonly targets: number; readonly batch: number; readonly processes: number },
  ): Promise<Library> {
    const { targets, batch, processes } = options;
    const name = `batch ${batch.toLocaleString('en')}, ${processes === 1 ? ONE_WORKER : `${processes} workers`}`;
    const program = join(__dirname, 'worker-program.js');
    const workers = Array.from({ length: processes }, () => Child.start(program, databaseUrl, redisUrl, String(batch)));
    return new Library(name, stage, targets, await Promise.all(workers));
  }

  async sample(): Promise<Drain> {
    const stage = this.#stage;
    await stage.settle();
    const [memoryBefore, jobsBefore] = [await stage.usedMemory(), await stage.jobs()];
    const writing = await stage.makeDirty(this.#targets);
    const memory = ((await stage.usedMemory()) - memoryBefore) / this.#targets;
    await stage.due();
    const began = performance.now();
    await this.#tellAll('start');
    await stage.drained();
    const draining = performance.now() - began;
    const workers = await this.#tellAll<WorkerFigures>('stop');
    for (const failure of workers.flatMap(({ failures }) => failures)) console.error(failure);
    const largest = (figure: 'statement' | 'pause' | 'growth') => Math.max(...workers.map((worker) => worker[figure]));
    return {
      rate: (this.#targets / draining) * 1_000,
      rateWithWrites: (this.#targets / (writing + draining)) * 1_000,
      jobs: (await stage.jobs()) - jobsBefore,
      memory,
      statement: largest('statement'),
      pause: largest('pause'),
      growth: largest('growth'),
      cpu: (workers.reduce((sum, worker) => sum + worker.cpu, 0) / this.#targets) * 1_000,
      failures: workers.reduce((sum, worker) => sum + worker.failures.length, 0),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
  }

  #tellAll<Answer>(order: Order): Promise<Answer[]> {
    return Promise.all(this.#workers.map((worker) => worker.ask<Answer>(order)));
  }
}
