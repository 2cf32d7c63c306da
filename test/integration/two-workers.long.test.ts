import { Column, type DataSource, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, Counters, type CountersOptions } from 'typeorm-counter-cache';

import { resolveDefinitions } from '../../src/declare/registry';
import { finishBatch } from '../../src/engines/buffered/reconcile';
import { applyBatch } from '../../src/dialects/postgres/apply/apply';
import { ended, startWorkerProgram } from '../faults/programs';
import { redisUrl } from '../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../support/setup';
import { until } from '../support/until';
import { Author, Post, TRUTH } from './blog';
import { openInternals } from './internals';

let fixture: Fixture;
const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Another process' counters on the database of the fixture, played by this one. */
async function another(
  entities: Parameters<typeof newDataSource>[1],
  options: Partial<CountersOptions> = {},
): Promise<{ counters: Counters; dataSource: DataSource; errors: unknown[] }> {
  const dataSource = newDataSource(fixture.databaseUrl, entities, { synchronize: false });
  const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, ...options });
  const errors: unknown[] = [];
  counters.on('error', (error) => errors.push(error));
  await dataSource.initialize();
  cleanups.push(async () => {
    await counters.close();
    await dataSource.destroy();
  });
  return { counters, dataSource, errors };
}

async function start(...options: Parameters<typeof setup>): Promise<void> {
  fixture = await setup(...options);
  cleanups.push(() => fixture.close());
}

/** 8 clients write, move, change and delete posts of few authors, so that workers meet on every row. */
async function writeFrom8Clients(authorIds: readonly number[], rounds: number): Promise<void> {
  const { manager } = fixture.dataSource;
  await Promise.all(
    Array.from({ length: 8 }, async (_, client) => {
      for (let round = 0; round < rounds; round++) {
        const authorId = authorIds[(client + round) % authorIds.length] ?? 0;
        const post = await manager.save(Post, { authorId, likes: round, published: round % 2 === 0 });
        if (round % 3 === 0)
          await manager.update(Post, { id: post.id }, { authorId: authorIds[client % authorIds.length] ?? 0 });
        if (round % 5 === 0) await manager.softDelete(Post, { id: post.id });
        if (round % 7 === 0) await manager.delete(Post, { id: post.id });
      }
    }),
  );
}

async function expectTruth(): Promise<void> {
  await fixture.counters.settled();
  await until(async () => {
    const { dirty, batches, intents } = await fixture.counters.status();
    return dirty + batches + intents === 0;
  });
  const rows: Record<string, number>[] = await fixture.dataSource.query(TRUTH);
  expect(rows.map((row) => [row['postsCount'], row['publishedCount'], row['likesSum']])).toEqual(
    rows.map((row) => [row['posts'], row['published'], row['likes']]),
  );
}

describe('two workers on the same rows', () => {
  const fast = { wait: 1, window: 5, sweepInterval: 10, batchSize: 2 };

  test('sum right under load from 8 writers', async () => {
    await start({ entities: [Author, Post], counters: fast, worker: true });
    const other = await another([Author, Post], fast);
    await other.counters.startWorker();
    const authors = await fixture.dataSource.manager.save(Author, [
      { name: 'a' },
      { name: 'a' },
      { name: 'a' },
      { name: 'a' },
      { name: 'a' },
    ]);
    const appliedBy = { here: 0, there: 0 };
    fixture.counters.on('reconciled', () => (appliedBy.here += 1));
    other.counters.on('reconciled', () => (appliedBy.there += 1));
    await writeFrom8Clients(
      authors.map(({ id }) => id),
      60,
    );
    await expectTruth();
    expect(Math.min(appliedBy.here, appliedBy.there)).toBeGreaterThan(10);
    expect([...fixture.errors, ...other.errors]).toEqual([]);
  });

  test('sum right in different processes', async () => {
    await start({ entities: [Author, Post], counters: fast, worker: true });
    const program = startWorkerProgram({ databaseUrl: fixture.databaseUrl, killAt: 'none' });
    await new Promise((resolve) => program.once('message', resolve));
    const authors = await fixture.dataSource.manager.save(Author, [{ name: 'a' }, { name: 'a' }, { name: 'a' }]);
    await writeFrom8Clients(
      authors.map(({ id }) => id),
      40,
    );
    await expectTruth();
    program.kill('SIGKILL');
    await ended(program);
    expect(fixture.errors).toEqual([]);
  });
});

describe('a rolling deploy: a worker that does not know', () => {
  @Entity('shelf')
  class Shelf {
    @PrimaryGeneratedColumn() id!: number;
    @Column({ default: 0 }) booksCount!: number;
  }

  @Entity('book')
  @CounterCache<Book, Shelf>({ relation: 'shelf', column: 'booksCount' })
  class Book {
    @PrimaryGeneratedColumn() id!: number;
    @ManyToOne(() => Shelf) shelf!: Relation<Shelf>;
  }

  @Entity('author')
  class OldAuthor {
    @PrimaryGeneratedColumn() id!: number;
    @Column({ default: 0 }) postsCount!: number;
  }

  @Entity('post')
  @CounterCache<OldPost, OldAuthor>({ relation: 'author', column: 'postsCount' })
  class OldPost {
    @PrimaryGeneratedColumn() id!: number;
    @ManyToOne(() => OldAuthor) author!: Relation<OldAuthor>;
  }

  /** One row per author: what the old worker knows, and what it does not. */
  async function read(): Promise<number[][]> {
    const authors = await fixture.dataSource.manager.find(Author, { order: { id: 'ASC' } });
    return authors.map(({ postsCount, likesSum }) => [postsCount, likesSum]);
  }

  test('a target keeps it for one that does', async () => {
    await start({ entities: [Author, Post, Shelf, Book], counters: { shards: 1 } });
    const old = await another([Author, Post], { shards: 1 });
    const { manager } = fixture.dataSource;
    const [author, shelf] = [await manager.save(Author, { name: 'a' }), await manager.save(manager.create(Shelf))];
    await manager.insert(Post, { author });
    await manager.insert(Book, [{ shelf }, { shelf }]);
    await fixture.counters.settled();
    await old.counters.startWorker();
    await until(async () => (await manager.findOneByOrFail(Author, { id: author.id })).postsCount === 1);
    await until(async () => (await fixture.counters.status()).batches === 0);
    expect(await manager.findOneByOrFail(Shelf, { id: shelf.id })).toMatchObject({ booksCount: 0 });
    expect(await fixture.counters.status()).toMatchObject({ dirty: 1, failed: [] });
    // The shelf may be due a window after the author.
    await until(() => old.errors.length > 0);
    // The deploy goes on: both running, they would compete for the target until the right one wins.
    await old.counters.close();
    await fixture.counters.startWorker();
    await until(async () => (await manager.findOneByOrFail(Shelf, { id: shelf.id })).booksCount === 2);
    expect(fixture.errors).toEqual([]);
    expect(old.errors).toEqual([expect.objectContaining({ code: 'STATE_MISMATCH' })]);
  });

  test.each(['buffered', 'outbox'] as const)('a column keeps it, and applies the others: %s', async (mode) => {
    await start({ entities: [Author, Post], counters: { shards: 1, mode } });
    const old = await another([OldAuthor, OldPost], { shards: 1, mode });
    const { manager } = fixture.dataSource;
    const [plain, liked] = [await manager.save(Author, { name: 'a' }), await manager.save(Author, { name: 'a' })];
    await manager.insert(Post, [{ author: plain }, { author: liked, likes: 7 }]);
    await fixture.counters.settled();
    expect(await old.counters.flush()).toEqual({ batches: 1, targets: 1, unapplied: 1, updates: 1 });
    expect(await read()).toEqual([
      [1, 0],
      [1, 0],
    ]);
    // Again and again, and each time it is only what nobody here knows that is kept.
    await manager.insert(Post, { author: liked, likes: 2 });
    await fixture.counters.settled();
    expect(await old.counters.flush()).toMatchObject({ targets: 0, unapplied: 1 });
    expect(await read()).toEqual([
      [1, 0],
      [2, 0],
    ]);
    expect(await old.counters.flush()).toMatchObject({ targets: 0, unapplied: 1, updates: 0 });
    expect(await fixture.counters.read(Author, liked.id, 'likesSum')).toBe(9);
    expect(await fixture.counters.flush()).toMatchObject({ targets: 1, unapplied: 0, updates: 1 });
    expect(await read()).toEqual([
      [1, 0],
      [2, 9],
    ]);
    expect(fixture.errors).toEqual([]);
    expect(old.errors).toEqual([expect.objectContaining({ code: 'STATE_MISMATCH' })]);
  });

  test('a column, and dies before it gives the column back: whoever takes over gives back that column only', async () => {
    await start({ entities: [Author, Post], counters: { shards: 1 } });
    const old = await another([OldAuthor, OldPost], { shards: 1 });
    const internals = await openInternals(fixture.dataSource, { shards: 1 });
    const { context } = internals;
    const { manager } = fixture.dataSource;
    const { id: authorId } = await manager.save(Author, { name: 'a' });
    await manager.insert(Post, { authorId, likes: 7 });
    await fixture.counters.settled();
    const { batch } = await context.buffer.claim(0, { select: 'dirty', tableIds: null }, 10);
    if (batch === null) throw new Error('nothing to claim');
    await applyBatch(old.dataSource, context.tables, resolveDefinitions(old.dataSource), batch, false);
    const worth = async () => [
      await fixture.counters.read(Author, authorId, 'postsCount'),
      await fixture.counters.read(Author, authorId, 'likesSum'),
    ];
    expect([await read(), await worth()]).toEqual([[[1, 0]], [1, 7]]);
    expect(await finishBatch(context, batch)).toMatchObject({ batches: 0, unapplied: 1, updates: 0 });
    expect([await read(), await worth()]).toEqual([[[1, 0]], [1, 7]]);
    await fixture.counters.flush();
    expect([await read(), await worth()]).toEqual([[[1, 7]], [1, 7]]);
    await internals.close();
  });

  test('a column of a row that is locked, or refused: all of it is kept', async () => {
    await start({ entities: [Author, Post], counters: { shards: 1 } });
    const old = await another([OldAuthor, OldPost], { shards: 1 });
    const { manager } = fixture.dataSource;
    const [locked, refused] = await manager.save(Author, [{ name: 'locked' }, { name: 'refused' }]);
    await manager.query(`ALTER TABLE author ADD CONSTRAINT closed CHECK (name <> 'refused' OR "postsCount" = 0)`);
    await manager.insert(Post, [
      { authorId: locked?.id ?? 0, likes: 7 },
      { authorId: refused?.id ?? 0, likes: 5 },
    ]);
    await fixture.counters.settled();
    await fixture.dataSource.transaction(async (holder) => {
      await holder.query('SELECT 1 FROM author WHERE id = $1 FOR UPDATE', [locked?.id]);
      expect(await old.counters.flush()).toMatchObject({ targets: 0, unapplied: 2 });
    });
    expect(await read()).toEqual([
      [0, 0],
      [0, 0],
    ]);
    await manager.query('ALTER TABLE author DROP CONSTRAINT closed');
    expect(await fixture.counters.retryFailed()).toBe(1);
    await fixture.counters.flush();
    expect(await read()).toEqual([
      [1, 7],
      [1, 5],
    ]);
  });
});
