import type { DataSource } from 'typeorm';

import type { Batch } from '../../src/model/pending';
import { finishBatch } from '../../src/engines/buffered/reconcile';
import { applyBatch } from '../../src/dialects/postgres/apply/apply';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from './blog';
import { type Internals, openInternals } from './internals';

/** One shard, so that all targets of a test share a batch. */
const OPTIONS = { shards: 1, recalculationDelay: 1_000 } as const;

let fixture: Fixture;
let internals: Internals;
let dataSource: DataSource;

beforeEach(async () => {
  fixture = await setup({ entities: [Author, Post], counters: OPTIONS });
  ({ dataSource } = fixture);
  internals = await openInternals(dataSource, OPTIONS);
});
afterEach(async () => {
  await internals.close();
  await fixture.close();
  expect(fixture.errors).toEqual([]);
});

async function newAuthors(count: number): Promise<number[]> {
  const authors = await dataSource.manager.save(
    Author,
    Array.from({ length: count }, () => ({ name: 'a' })),
  );
  return authors.map(({ id }) => id);
}

/** Writes posts whose deltas are pending when this returns. */
async function write(...authorIds: number[]): Promise<void> {
  await dataSource.manager.insert(
    Post,
    authorIds.map((authorId) => ({ authorId })),
  );
  await fixture.counters.settled();
}

async function counts(ids: readonly number[]): Promise<number[]> {
  const authors = await dataSource.manager.find(Author, { order: { id: 'ASC' } });
  return ids.map((id) => authors.find((author) => author.id === id)?.postsCount ?? -1);
}

async function claimAll(): Promise<Batch> {
  const { batch } = await internals.context.buffer.claim(0, { select: 'dirty', tableIds: null }, 1_000);
  if (batch === null) throw new Error('nothing to claim');
  return batch;
}

const QUIET = { dirty: 0, batches: 0, intents: 0, failed: [] };

describe('a parent that is deleted before its flush', () => {
  test('lets the reconcile succeed and leaves nothing in Redis', async () => {
    const [gone = 0, kept = 0] = await newAuthors(2);
    const place = internals.place(Author, gone);
    await write(gone, gone, kept);
    await dataSource.query('DELETE FROM author WHERE id = $1', [gone]);
    expect(await internals.mentions(place)).toEqual(['due', 'pending', 'recalc']);
    expect(await fixture.counters.flush()).toEqual({ batches: 1, targets: 2, unapplied: 0, updates: 1 });
    expect(await counts([kept])).toEqual([1]);
    // What is left is the request that the write made; it is fulfilled when its time comes.
    expect(await internals.mentions(place)).toEqual(['recalc']);
    await fixture.counters.startWorker();
    await until(async () => (await fixture.counters.status()).recalculations === 0);
    expect(await internals.mentions(place)).toEqual([]);
    expect(await fixture.counters.status()).toMatchObject(QUIET);
  });

  test('through TypeORM has its pending delta dropped at once, and its key recounted', async () => {
    const [gone = 0] = await newAuthors(1);
    const place = internals.place(Author, gone);
    await write(gone);
    await dataSource.manager.delete(Author, { id: gone });
    await fixture.counters.settled();
    expect(await internals.mentions(place)).toEqual(['barriers', 'recalc']);
    await fixture.counters.startWorker();
    await until(async () => (await internals.mentions(place)).length === 0);
    expect(await fixture.counters.status()).toMatchObject(QUIET);
  });

  test('is no reason to retry its batch, not even when it was all of it', async () => {
    const [gone = 0] = await newAuthors(1);
    await write(gone);
    await dataSource.query('DELETE FROM author WHERE id = $1', [gone]);
    await fixture.counters.startWorker();
    await until(async () => (await fixture.counters.status()).dirty === 0);
    await until(async () => (await internals.mentions(internals.place(Author, gone))).length === 0);
    expect(await fixture.counters.status()).toMatchObject(QUIET);
  });

  test('while it is claimed leaves nothing either', async () => {
    const [gone = 0] = await newAuthors(1);
    await write(gone);
    const batch = await claimAll();
    await dataSource.query('DELETE FROM author WHERE id = $1', [gone]);
    expect(await finishBatch(internals.context, batch)).toMatchObject({ batches: 1, unapplied: 0 });
    expect(await internals.mentions(internals.place(Author, gone))).toEqual(['recalc']);
  });
});

describe('I3: a job that runs twice applies once', () => {
  test('one after the other', async () => {
    const ids = await newAuthors(3);
    await write(...ids, ...ids);
    const batch = await claimAll();
    expect(await finishBatch(internals.context, batch)).toMatchObject({ batches: 1, targets: 3, updates: 1 });
    expect(await finishBatch(internals.context, batch)).toEqual({ batches: 0, targets: 0, unapplied: 0, updates: 0 });
    expect(await counts(ids)).toEqual([2, 2, 2]);
    expect(await fixture.counters.status()).toMatchObject(QUIET);
  });

  test('at the same time', async () => {
    const ids = await newAuthors(3);
    await write(...ids);
    const batch = await claimAll();
    const reports = await Promise.all(Array.from({ length: 5 }, () => finishBatch(internals.context, batch)));
    expect(reports.filter(({ batches }) => batches === 1)).toHaveLength(1);
    expect(await counts(ids)).toEqual([1, 1, 1]);
  });

  test('a batch that was applied, not acknowledged, and taken over', async () => {
    const ids = await newAuthors(2);
    await write(...ids);
    const batch = await claimAll();
    const { tables, definitions, buffer } = internals.context;
    expect(await applyBatch(dataSource, tables, definitions, batch, true)).toMatchObject({
      status: 'applied',
      updates: 1,
    });
    expect(await fixture.counters.status()).toMatchObject({ dirty: 0, batches: 1 });
    const [taken] = await until(async () => {
      const batches = await buffer.takeOver(0, 0, 10);
      return batches.length > 0 ? batches : null;
    });
    expect(taken).toEqual(batch);
    expect(await finishBatch(internals.context, batch)).toMatchObject({ batches: 0 });
    expect(await counts(ids)).toEqual([1, 1]);
    expect(await fixture.counters.status()).toMatchObject(QUIET);
  });

  test('a batch of which a row was locked: whoever acknowledges gives back exactly that row', async () => {
    const [locked = 0, free = 0] = await newAuthors(2);
    await write(locked, locked, free);
    const batch = await claimAll();
    const { tables, definitions } = internals.context;
    await whileLocked(locked, async () => {
      expect(await applyBatch(dataSource, tables, definitions, batch, true)).toMatchObject({
        status: 'applied',
        unapplied: [{ target: internals.place(Author, locked).target }],
      });
    });
    await write(locked);
    expect(await finishBatch(internals.context, batch)).toMatchObject({ batches: 0, unapplied: 1 });
    expect(await counts([locked, free])).toEqual([0, 1]);
    await fixture.counters.flush();
    expect(await counts([locked, free])).toEqual([3, 1]);
  });
});

/** Holds the row of an author as another connection would. */
async function whileLocked(id: number, work: () => Promise<void>): Promise<void> {
  await dataSource.transaction(async (manager) => {
    await manager.query('SELECT 1 FROM author WHERE id = $1 FOR UPDATE', [id]);
    await work();
  });
}

describe('a parent row that is locked', () => {
  test('holds up nobody else, and follows when it is released', async () => {
    const [locked = 0, ...others] = await newAuthors(4);
    await write(locked, locked, ...others);
    await whileLocked(locked, async () => {
      await fixture.counters.startWorker();
      await until(async () => (await counts(others)).every((count) => count === 1), 2_000);
      expect(await counts([locked])).toEqual([0]);
      await until(async () => (await fixture.counters.status()).batches === 0);
      expect(await fixture.counters.status()).toMatchObject({ dirty: 1, batches: 0, failed: [] });
    });
    await until(async () => (await counts([locked]))[0] === 2, 10_000);
    await until(async () => (await fixture.counters.status()).batches === 0);
    expect(await fixture.counters.status()).toMatchObject(QUIET);
  });

  test('is told in the report of a flush, which does not wait for it', async () => {
    const [locked = 0, free = 0] = await newAuthors(2);
    await write(locked, free);
    await whileLocked(locked, async () => {
      expect(await fixture.counters.flush()).toEqual({ batches: 1, targets: 1, unapplied: 1, updates: 1 });
    });
    expect(await fixture.counters.flush()).toEqual({ batches: 1, targets: 1, unapplied: 0, updates: 1 });
    expect(await counts([locked, free])).toEqual([1, 1]);
  });

  test('is not locked by children that are being inserted', async () => {
    const [id = 0] = await newAuthors(1);
    await write(id);
    await dataSource.transaction(async (manager) => {
      await manager.insert(Post, { authorId: id });
      expect(await fixture.counters.flush()).toMatchObject({ targets: 1, unapplied: 0 });
    });
    await fixture.counters.flush();
    expect(await counts([id])).toEqual([2]);
  });
});
