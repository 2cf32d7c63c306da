import { join } from 'node:path';

import { type Mode, InProcessScheduler, type RunningScheduler } from 'typeorm-counter-cache';
import { MemoryBuffer } from '../../../src/engines/buffered/memory/memory-buffer';

import { finishBatch } from '../../../src/engines/buffered/reconcile';
import { Author, Post } from '../../integration/blog';
import { openInternals } from '../../integration/internals';
import { wrongAuthors, waitingRows } from '../../integration/outbox/outbox';
import { type Child, startChild } from '../../support/child';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { ended } from '../programs';
import { SHUTDOWN_OPTIONS } from './settings';

/** How long a process may take to end, ms: far less than the time-outs within which it would be forced to. */
const SOON = 5_000;

const MODES = ['buffered', 'outbox'] as const;

let fixture: Fixture;
let ids: number[];
let started: Child[] = [];

async function start(mode: Mode): Promise<void> {
  fixture = await setup({ entities: [Author, Post], counters: { ...SHUTDOWN_OPTIONS, mode } });
  const authors = Array.from({ length: 300 }, () => ({ name: 'a' }));
  ids = (await fixture.dataSource.manager.save(Author, authors)).map(({ id }) => id);
}
afterEach(async () => {
  if (started.length === 0) return;
  const left = started.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  await Promise.all(left.map((child) => endBy(child, 'SIGKILL')));
  started = [];
  await fixture.close();
});

interface Program {
  readonly child: Child;
  readonly messages: readonly string[];
}

async function startProgram(role: 'worker' | 'writer', mode: Mode): Promise<Program> {
  const child = startChild(join(__dirname, 'shutdown-program.ts'), {
    PROGRAM_DATABASE: fixture.databaseUrl,
    PROGRAM_ROLE: role,
    PROGRAM_MODE: mode,
  });
  started.push(child);
  const messages: string[] = [];
  child.on('message', (message) => messages.push(message as string));
  await until(() => messages.includes('ready'));
  return { child, messages };
}

/** Sends a signal; returns how the process ended, and after how many ms. */
async function endBy(child: Child, signal: NodeJS.Signals): Promise<{ how: string; after: number }> {
  const since = performance.now();
  const ending = ended(child);
  child.kill(signal);
  const how = await ending;
  return { how, after: performance.now() - since };
}

/** Makes all authors dirty at once. */
async function writeToAll(): Promise<void> {
  await fixture.dataSource.manager.insert(
    Post,
    ids.map((authorId) => ({ authorId })),
  );
}

async function pending(): Promise<number> {
  const { dirty, batches } = await fixture.counters.status();
  return dirty + batches;
}

describe.each(MODES)('%s: a worker that is told to end in the middle of its work', (mode) => {
  test('ends what it claimed, and another goes on at once', async () => {
    await start(mode);
    const workers = [await startProgram('worker', mode), await startProgram('worker', mode)];
    await writeToAll();
    const busy = await until(() => workers.find(({ messages }) => messages.includes('busy')));
    const { how, after } = await endBy(busy.child, 'SIGTERM');
    expect(how).toBe('0');
    expect(after).toBeLessThan(SOON);
    // Without its end, it had gone on to the last target.
    expect(busy.messages.filter((message) => message === 'busy').length).toBeLessThan(60);
    await until(async () => (await pending()) === 0);
    expect(await wrongAuthors(fixture)).toEqual([]);
    expect(workers.flatMap(({ messages }) => messages).filter((message) => message.startsWith('error'))).toEqual([]);
  });

  test('leaves no batch, when nobody else is there', async () => {
    await start(mode);
    const worker = await startProgram('worker', mode);
    await writeToAll();
    await until(() => worker.messages.includes('busy'));
    expect(await endBy(worker.child, 'SIGTERM')).toMatchObject({ how: '0' });
    const { batches, dirty } = await fixture.counters.status();
    expect({ batches, left: dirty > 0 }).toEqual({ batches: 0, left: true });
    await fixture.counters.flush();
    expect(await wrongAuthors(fixture)).toEqual([]);
  });
});

describe.each(MODES)('%s: a writer that is told to end', (mode) => {
  test('hands off what it holds, and ends by itself', async () => {
    await start(mode);
    const writer = await startProgram('writer', mode);
    await until(() => writer.messages.includes('busy'));
    const { how, after } = await endBy(writer.child, 'SIGTERM');
    expect(how).toBe('0');
    expect(after).toBeLessThan(SOON);
    expect((await fixture.counters.status()).intents).toBe(0);
    await fixture.counters.flush();
    expect(await waitingRows(fixture)).toBe(0);
    expect(await fixture.dataSource.manager.count(Post)).toBeGreaterThan(20);
    expect(await wrongAuthors(fixture)).toEqual([]);
  });
});

test('close() is one and the same, and waits for a worker that is starting', async () => {
  let open = (): void => undefined;
  const opening = new Promise<void>((resolve) => (open = resolve));
  const closed: unknown[] = [];
  class SlowScheduler extends InProcessScheduler {
    override async start(...args: Parameters<InProcessScheduler['start']>): Promise<RunningScheduler> {
      await opening;
      const running = await super.start(...args);
      return { close: (force) => running.close(force).then(() => void closed.push(force)) };
    }
  }
  const scheduler = new SlowScheduler();
  const own = await setup({ entities: [Author, Post], counters: { buffer: new MemoryBuffer(), scheduler } });
  const { counters } = own;
  const starting = counters.startWorker();
  await counters.status();
  const closing = counters.close();
  expect(counters.close()).toBe(closing);
  open();
  await closing;
  expect(closed).toEqual([undefined]);
  const worker = await starting;
  expect(worker.close()).toBe(worker.close());
  await expect(counters.startWorker()).rejects.toMatchObject({ code: 'CLOSED' });
  await own.close();
  await scheduler.close();
});

test('a second signal exits at once, whatever close() waits for', async () => {
  await start('buffered');
  const worker = await startProgram('worker', 'buffered');
  const runner = fixture.dataSource.createQueryRunner();
  await runner.query('BEGIN');
  await runner.query('LOCK TABLE counter_cache_ledger');
  await writeToAll();
  await until(async () => (await fixture.counters.status()).batches > 0);
  worker.child.kill('SIGTERM');
  await until(() => worker.messages.includes('closing'));
  expect(await endBy(worker.child, 'SIGINT')).toMatchObject({ how: '130' });
  await runner.query('ROLLBACK');
  await runner.release();
  expect((await fixture.counters.status()).batches).toBe(1);
  const taken = await openInternals(fixture.dataSource, { shards: 1 });
  const [batch] = await taken.context.buffer.takeOver(0, 0, 1);
  if (batch !== undefined) await finishBatch(taken.context, batch);
  await taken.close();
  await fixture.counters.flush();
  expect(await wrongAuthors(fixture)).toEqual([]);
});
