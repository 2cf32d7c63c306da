import type { DataSource } from 'typeorm';

import { Events } from '../../src/events';
import type { Installation, Installer } from '../../src/installation';
import type { JobContext } from '../../src/engines/context';
import { StartedWorkers, type WorkPlace } from '../../src/worker/started-workers';
import type { CounterWorker } from '../../src/worker/worker';
import { type Counted, Opening } from '../../src/opening';
import { resolveOptions } from '../../src/options';
import type { Residence } from '../../src/residence';
import { until } from '../support/until';

/** An attempt to open: the test says how it ends. */
interface Attempt {
  succeed(id: string, scheduler?: object): void;
  fail(reason: string): void;
}

const SCHEDULERS = new Map<string, object>();

function schedulerOf(id: string): object {
  const scheduler = SCHEDULERS.get(id) ?? { id };
  SCHEDULERS.set(id, scheduler);
  return scheduler;
}

function harness() {
  const attempts: Attempt[] = [];
  let underWay = 0;
  let together = 0;
  const installer = {
    closeFormer: async () => undefined,
    open: () =>
      new Promise<Installation>((resolve, reject) => {
        together = Math.max(together, ++underWay);
        attempts.push({
          succeed(id, scheduler = schedulerOf(id)) {
            underWay--;
            resolve({ id, scheduler } as unknown as Installation);
          },
          fail(reason) {
            underWay--;
            reject(new Error(reason));
          },
        });
      }),
  } as unknown as Installer;
  const moves: string[] = [];
  let closed = 0;
  const worker = {
    close: async () => void (closed += 1),
    async move(_context: JobContext, scheduler: unknown) {
      moves.push((scheduler as { id: string }).id);
    },
  } as unknown as CounterWorker;
  const workers = new StartedWorkers();
  const start = (id: string): Promise<CounterWorker> => {
    const at = { installation: { id, scheduler: schedulerOf(id) }, context: {} } as unknown as WorkPlace;
    return workers.add(Promise.resolve({ worker, at }));
  };
  void start('a');
  const errors: unknown[] = [];
  const events = new Events(() => undefined);
  events.on('error', (error) => errors.push(error));
  const opening = new Opening({
    dataSource: { entityMetadatas: [] } as unknown as DataSource,
    options: resolveOptions({ redis: 'redis://127.0.0.1:1' }),
    events,
    installer,
    residence: { enter: async () => undefined, forget: () => undefined } as unknown as Residence,
    workers,
    reportsLoss: true,
  });
  opening.begin({
    definitions: { targetTables: new Map(), counters: [] },
    tables: { catalogue: { load: async () => undefined } },
    permissions: { opening: (open: () => Promise<Installation>) => open() },
  } as unknown as Counted);
  const attempt = (number: number): Promise<Attempt> => until(() => attempts[number - 1]);
  return { opening, attempt, moves, start, workers, errors, attempts, closed: () => closed, together: () => together };
}

describe('an installation that is another one by now', () => {
  it('is opened once, however often it is noticed meanwhile, and workers move to it', async () => {
    const { opening, attempt, attempts, moves } = harness();
    const first = opening.open();
    (await attempt(1)).succeed('a');
    await first;
    opening.reopen();
    opening.reopen();
    const second = await attempt(2);
    opening.reopen();
    second.succeed('b');
    await opening.idle();
    expect(attempts).toHaveLength(2);
    expect(moves).toEqual(['b']);
  });

  it('is opened after what is being opened already', async () => {
    const { opening, attempt, moves, together } = harness();
    const first = opening.open();
    const slow = await attempt(1);
    opening.reopen();
    slow.succeed('a');
    await first;
    (await attempt(2)).succeed('b');
    await opening.idle();
    expect(together()).toBe(1);
    expect(moves).toEqual(['b']);
  });

  it('is moved to when a write opens it, after opening failed', async () => {
    const { opening, attempt, moves, errors } = harness();
    const first = opening.open();
    (await attempt(1)).succeed('a');
    await first;
    opening.reopen();
    (await attempt(2)).fail('not now');
    await until(() => errors.length > 0);
    const write = opening.open();
    (await attempt(3)).succeed('b');
    await write;
    await opening.idle();
    expect(errors.map(String)).toEqual(['Error: not now']);
    expect(moves).toEqual(['b']);
  });

  it('is the former one, with a scheduler of its own', async () => {
    const { opening, attempt, moves } = harness();
    const first = opening.open();
    (await attempt(1)).succeed('a');
    await first;
    opening.reopen();
    (await attempt(2)).succeed('a', { id: 'another' });
    await opening.idle();
    expect(moves).toEqual(['another']);
  });

  it('is where a worker goes on that started at the former one', async () => {
    const { opening, attempt, moves, start } = harness();
    const first = opening.open();
    (await attempt(1)).succeed('a');
    await first;
    opening.reopen();
    (await attempt(2)).succeed('b');
    await opening.idle();
    await start('a');
    await start('b');
    expect(moves).toEqual(['b', 'b']);
  });

  it('closes a worker that starts once they are closed', async () => {
    const { workers, start, closed } = harness();
    await workers.close();
    const before = closed();
    await start('a');
    expect(closed()).toBe(before + 1);
  });

  it('is the same one again: workers stay', async () => {
    const { opening, attempt, moves } = harness();
    const first = opening.open();
    (await attempt(1)).succeed('a');
    await first;
    opening.reopen();
    (await attempt(2)).succeed('a');
    await opening.idle();
    expect(moves).toEqual([]);
  });
});
