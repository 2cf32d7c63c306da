import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import type { DataSource } from 'typeorm';

import { redisUrl } from '../support/redis';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from './blog';
import { installationOf } from './internals';
import { Meter, type Sent } from '../support/meter';
import { Note } from './note';

let meter: Meter;

beforeAll(() => {
  meter = new Meter();
});
afterAll(() => meter.close());

interface Costs {
  readonly fixture: Fixture;
  readonly dataSource: DataSource;
  readonly queue: Queue;
  readonly close: () => Promise<void>;
}

/** No worker, and nothing due while a test runs: what is sent is what the operation costs. */
async function open(options: NonNullable<Parameters<typeof setup>[0]['counters']> = {}): Promise<Costs> {
  const fixture = await setup({
    entities: [Author, Post, Note],
    counters: { wait: 600_000, window: 1_000, recalculationDelay: 600_000_000, sweepInterval: 600_000, ...options },
  });
  const connection = new Redis(redisUrl(), { maxRetriesPerRequest: null });
  const queue = new Queue(`cc-${await installationOf(fixture.dataSource)}`, { connection });
  await warmUp(fixture);
  return {
    fixture,
    dataSource: fixture.dataSource,
    queue,
    async close() {
      await queue.close();
      connection.disconnect();
      await fixture.close();
      expect(fixture.errors).toEqual([]);
    },
  };
}

/** Before PostgreSQL 18 an UPDATE cannot return old rows: they are locked and read first. */
function locking({ dataSource }: Costs): string[] {
  const { version = '' } = dataSource.driver as { version?: string };
  return Number.parseInt(version, 10) < 18 ? ['SELECT "id" AS'] : [];
}

/** The first time a script is sent whole, and a connection to PostgreSQL introduces itself. */
async function warmUp({ dataSource, counters }: Fixture): Promise<void> {
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  await dataSource.manager.insert(Post, { authorId: id });
  await counters.flush();
  const aborted = dataSource.transaction(async (manager) => {
    await manager.insert(Post, { authorId: id });
    throw new Error('discard');
  });
  await expect(aborted).rejects.toThrow('discard');
  await counters.settled();
}

function cost({ fixture }: Costs, work: () => Promise<unknown>): Promise<Sent> {
  return meter.during(async () => {
    await work();
    await fixture.counters.settled();
  });
}

describe('what a write costs', () => {
  let costs: Costs;
  let author: Author;
  let post: Post;

  beforeAll(async () => {
    costs = await open();
    author = await costs.dataSource.manager.save(Author, { name: 'a' });
    post = await costs.dataSource.manager.save(Post, { authorId: author.id });
    await costs.fixture.counters.settled();
  });
  afterAll(() => costs.close());

  const manager = () => costs.dataSource.manager;

  test('save() of a row that feeds no counter: nothing extra', async () => {
    expect(await cost(costs, () => manager().save(Note, { text: 'new' }))).toEqual({
      sql: ['START TRANSACTION', 'INSERT INTO "note"("text")', 'COMMIT'],
      scripts: [],
      commands: [],
    });
    expect(await cost(costs, () => manager().update(Note, { id: 1 }, { text: 'changed' }))).toEqual({
      sql: ['UPDATE "note" SET'],
      scripts: [],
      commands: [],
    });
  });

  test('an update that touches no relevant column: nothing extra', async () => {
    expect(await cost(costs, () => manager().update(Post, { id: post.id }, { title: 'new' }))).toEqual({
      sql: ['UPDATE "post" SET'],
      scripts: [],
      commands: [],
    });
    expect(await cost(costs, () => manager().save(Post, { id: post.id, title: 'newer' }))).toEqual({
      sql: [expect.stringMatching(/^SELECT/), 'START TRANSACTION', 'UPDATE "post" SET', 'COMMIT'],
      scripts: [],
      commands: [],
    });
  });

  test('an insert outside a transaction: a transaction, one announce and one confirm', async () => {
    expect(await cost(costs, () => manager().insert(Post, { authorId: author.id }))).toEqual({
      sql: ['START TRANSACTION', 'INSERT INTO "post"("title",', 'COMMIT'],
      scripts: ['announce', 'confirm'],
      commands: [],
    });
  });

  test('a save() of a new row: the same, and no statement of ours', async () => {
    expect(await cost(costs, () => manager().save(Post, { authorId: author.id }))).toMatchObject({
      sql: ['START TRANSACTION', 'INSERT INTO "post"("title",', 'COMMIT'],
      scripts: ['announce', 'confirm'],
    });
  });

  test('an update of a relevant column: no extra query from PostgreSQL 18 on, before that one that locks and reads', async () => {
    expect(await cost(costs, () => manager().update(Post, { id: post.id }, { published: true }))).toEqual({
      sql: ['START TRANSACTION', ...locking(costs), 'UPDATE "post" SET', 'COMMIT'],
      scripts: ['announce', 'confirm'],
      commands: [],
    });
  });

  test('an update of a relevant column that changes no contribution: no call to Redis', async () => {
    expect(await cost(costs, () => manager().update(Post, { id: post.id }, { published: true }))).toEqual({
      sql: ['START TRANSACTION', ...locking(costs), 'UPDATE "post" SET', 'COMMIT'],
      scripts: [],
      commands: [],
    });
  });

  test('a delete: no extra query; a soft delete: as an update', async () => {
    expect(await cost(costs, () => manager().softDelete(Post, { id: post.id }))).toEqual({
      sql: ['START TRANSACTION', ...locking(costs), 'UPDATE "post" SET', 'COMMIT'],
      scripts: ['announce', 'confirm'],
      commands: [],
    });
    const { identifiers } = await manager().insert(Post, { authorId: author.id });
    await costs.fixture.counters.settled();
    expect(await cost(costs, () => manager().delete(Post, identifiers[0] ?? {}))).toEqual({
      sql: ['START TRANSACTION', 'DELETE FROM "post"', 'COMMIT'],
      scripts: ['announce', 'confirm'],
      commands: [],
    });
  });

  test('a transaction of 20 inserts under one parent: one announce, one confirm', async () => {
    const sent = await cost(costs, () =>
      costs.dataSource.transaction(async (inner) => {
        for (let i = 0; i < 20; i++) await inner.insert(Post, { authorId: author.id });
      }),
    );
    expect(sent.sql).toHaveLength(22);
    expect(sent).toMatchObject({ scripts: ['announce', 'confirm'], commands: [] });
  });

  test('a transaction that is rolled back: no call to Redis', async () => {
    const work = () =>
      costs.dataSource
        .transaction(async (inner) => {
          await inner.insert(Post, { authorId: author.id });
          throw new Error('abort');
        })
        .catch(() => undefined);
    expect(await cost(costs, work)).toMatchObject({ scripts: [], commands: [] });
  });

  test('a transaction with counted writes that cancel out: no call to Redis', async () => {
    const work = () =>
      costs.dataSource.transaction(async (inner) => {
        const { identifiers } = await inner.insert(Post, { authorId: author.id });
        await inner.delete(Post, identifiers[0] ?? {});
      });
    expect(await cost(costs, work)).toMatchObject({ scripts: [], commands: [] });
  });

  test('a transaction under parents in many shards: one call each, all at once', async () => {
    const authors = await manager().save(
      Author,
      Array.from({ length: 100 }, () => ({ name: 'a' })),
    );
    meter.take();
    await costs.dataSource.transaction(async (inner) => {
      await inner.insert(
        Post,
        authors.map(({ id }) => ({ authorId: id })),
      );
    });
    const { mostInFlight } = meter;
    await costs.fixture.counters.settled();
    const { scripts } = meter.take();
    // 100 keys fall into all of 16 shards.
    expect(scripts.filter((name) => name === 'announce')).toHaveLength(16);
    expect(scripts.filter((name) => name === 'confirm')).toHaveLength(16);
    expect(scripts.slice(0, 16)).toEqual(Array.from({ length: 16 }, () => 'announce'));
    expect(mostInFlight).toBe(16);
  });
});

const STAMP = "SELECT current_setting('server_version_num') AS";

test('what a process costs that does nothing: four statements per sweep interval, and an UPDATE per two at most', async () => {
  const costs = await open({ sweepInterval: 20 });
  const look = 'SELECT "s"."id", "s"."value",';
  const sent: string[] = [];
  meter.take();
  await until(() => {
    sent.push(...meter.take().sql);
    return sent.filter((sql) => sql === look).length > 10;
  });
  sent.push(...meter.take().sql);
  await costs.close();
  // Which database it is, that the process lives, by which definitions it counts, and whether the tables have changed.
  const once = [expect.stringContaining('concat_ws') as unknown, 'WITH "alive" AS', STAMP];
  expect([...new Set(sent)].filter((sql) => sql !== look)).toEqual(expect.arrayContaining([...once, 'WITH "seen" AS']));
  expect(new Set(sent).size).toBe(5);
  const looks = sent.filter((sql) => sql === look).length;
  expect(sent.length).toBeLessThanOrEqual(4.5 * (looks + 2));
});

describe('what jobs cost', () => {
  let costs: Costs;
  afterEach(() => costs.close());

  test('1,000 inserts within a window: one reconcile and one recalculate job per shard', async () => {
    costs = await open({ wait: 600_000, window: 300_000, shards: 4 });
    const { dataSource, queue, fixture } = costs;
    const authors = await dataSource.manager.save(
      Author,
      Array.from({ length: 50 }, () => ({ name: 'a' })),
    );
    const sent = await cost(costs, () =>
      Promise.all(
        Array.from({ length: 20 }, async (_, client) => {
          for (let i = 0; i < 50; i++)
            await dataSource.manager.insert(Post, { authorId: authors[(client + i) % 50]?.id ?? 0 });
        }),
      ),
    );
    // Those of 20 clients that come to the same point at the same time share calls.
    expect(sent.scripts.length).toBeLessThan(2_000);
    const jobs = await queue.getDelayed();
    const perWakeUp = new Set(jobs.map(({ name, data }) => `${name} ${String((data as { shard: number }).shard)}`));
    expect([...perWakeUp].toSorted()).toEqual(
      ['recalculate', 'reconcile'].flatMap((name) => [0, 1, 2, 3].map((shard) => `${name} ${shard}`)),
    );
    // The clock may pass into another window once.
    expect(jobs.length).toBeLessThanOrEqual(16);
    // Every other process may add its own; this one has sent one command per job, deduplicated or not.
    expect(sent.commands.filter((name) => name === 'evalsha').length).toBeLessThanOrEqual(16);
    expect((await fixture.counters.status()).dirty).toBe(50);
  });

  test('a flush of 1,000 dirty targets in one shard: a look into the outbox, and one UPDATE in one transaction', async () => {
    costs = await open({ shards: 1 });
    const authors = await costs.dataSource.manager.save(
      Author,
      Array.from({ length: 1_000 }, () => ({ name: 'a' })),
    );
    await costs.dataSource.manager.insert(
      Post,
      authors.map(({ id }) => ({ authorId: id, published: true, likes: 2 })),
    );
    await costs.fixture.counters.settled();
    const sent = await cost(costs, async () => {
      expect(await costs.fixture.counters.flush()).toEqual({ batches: 1, targets: 1_000, unapplied: 0, updates: 1 });
    });
    expect(sent).toEqual({
      sql: ['SELECT w.shard, w.amounts,', 'BEGIN ISOLATION LEVEL', 'WITH fence AS', 'WITH i AS', 'COMMIT'],
      // The limit is reached, so it looks for more.
      scripts: ['claim', 'acknowledge', 'claim'],
      commands: [],
    });
    expect(await costs.dataSource.manager.countBy(Author, { postsCount: 1, publishedCount: 1, likesSum: 2 })).toBe(
      1_000,
    );
  });

  test('a flush of nothing: one look per shard, and one into the outbox', async () => {
    costs = await open({ shards: 4 });
    const sent = await cost(costs, () => costs.fixture.counters.flush());
    expect(sent).toEqual({
      sql: ['SELECT w.shard, w.amounts,'],
      scripts: ['claim', 'claim', 'claim', 'claim'],
      commands: [],
    });
  });

  test('recounting 500 targets of one shard: one statement, and none of the columns is written when right', async () => {
    costs = await open({ shards: 1 });
    await costs.dataSource.manager.save(
      Author,
      Array.from({ length: 499 }, () => ({ name: 'a' })),
    );
    const sent = await cost(costs, async () => {
      expect(await costs.fixture.counters.verify()).toMatchObject({ checked: 500, fixedCount: 0 });
    });
    // The page of targets, in a transaction with the search path of the opening; the horizon; the recount.
    expect(sent.sql.map((sql) => sql.split(' ')[0])).toEqual(['BEGIN', 'SELECT', 'COMMIT', 'SELECT', 'SELECT']);
    expect(sent.scripts).toEqual(['acquire-lease', 'finalize']);
  });
});
