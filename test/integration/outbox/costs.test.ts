import type { DataSource } from 'typeorm';

import { type Fixture, setup } from '../../support/setup';
import { Author, Post } from '../blog';
import { Meter, type Sent } from '../../support/meter';

let meter: Meter;
let fixture: Fixture;
let dataSource: DataSource;
let id: number;

beforeAll(async () => {
  meter = new Meter();
  fixture = await setup({
    entities: [Author, Post],
    counters: {
      mode: 'outbox',
      wait: 600_000,
      window: 300_000,
      recalculationDelay: 600_000_000,
      sweepInterval: 600_000,
      shards: 1,
    },
  });
  ({ dataSource } = fixture);
  ({ id } = await dataSource.manager.save(Author, { name: 'a' }));
  // The first time a script is sent whole, and a wake-up is added once per window.
  await dataSource.manager.insert(Post, { authorId: id });
  await fixture.counters.flush();
  await fixture.counters.verify();
  await dataSource.manager.insert(Post, { authorId: id });
  await fixture.counters.settled();
});
afterAll(async () => {
  meter.close();
  expect(fixture.errors).toEqual([]);
  await fixture.close();
});

function cost(work: () => Promise<unknown>): Promise<Sent> {
  return meter.during(async () => {
    await work();
    await fixture.counters.settled();
  });
}

const OUTBOX = 'INSERT INTO "public"."counter_cache_outbox"';
/** An INSERT that writes to the outbox as well. */
const ENCLOSED = 'WITH "__cc_outbox" AS';

test('an insert: no statement more, no transaction, and no call to Redis', async () => {
  const one = { authorId: id, published: true, likes: 2 };
  const expected = { sql: [ENCLOSED], scripts: [], commands: [] };
  expect(await cost(() => dataSource.manager.insert(Post, one))).toEqual(expected);
  expect(await cost(() => dataSource.manager.insert(Post, [one, { authorId: id }]))).toEqual(expected);
});

test('a save: no statement more', async () => {
  expect(await cost(() => dataSource.manager.save(Post, { authorId: id }))).toEqual({
    sql: ['START TRANSACTION', ENCLOSED, 'COMMIT'],
    scripts: [],
    commands: [],
  });
});

test('what cannot be told before, or is not an insert: one statement more, whatever there was', async () => {
  const [post] = await dataSource.manager.find(Post, { take: 1 });
  const update = await cost(() => dataSource.manager.update(Post, { id: post?.id }, { likes: () => 'likes + 1' }));
  expect(update.sql).toEqual(['START TRANSACTION', 'UPDATE "post" SET', OUTBOX, 'COMMIT']);
  const insert = await cost(() =>
    dataSource.manager
      .createQueryBuilder()
      .insert()
      .into(Post)
      .values({ authorId: id, likes: () => '1 + 1' })
      .execute(),
  );
  expect(insert.sql).toEqual(['START TRANSACTION', 'INSERT INTO "post"("title",', OUTBOX, 'COMMIT']);
});

test('a transaction of 20 inserts under 20 parents: one statement more', async () => {
  const authors = await dataSource.manager.save(
    Author,
    Array.from({ length: 20 }, () => ({ name: 'a' })),
  );
  const sent = await cost(() =>
    dataSource.transaction(async (manager) => {
      for (const author of authors) await manager.insert(Post, { authorId: author.id });
    }),
  );
  expect(sent.sql).toHaveLength(23);
  expect(sent.sql.at(-2)).toBe(OUTBOX);
  expect(sent).toMatchObject({ scripts: [], commands: [] });
});

test('a transaction that changes no sum, and one that is rolled back: nothing extra', async () => {
  const nothing = await cost(() =>
    dataSource.transaction(async (manager) => {
      await manager.increment(Post, { authorId: id }, 'likes', 3);
      await manager.decrement(Post, { authorId: id }, 'likes', 3);
    }),
  );
  expect(nothing.sql).toEqual(['START TRANSACTION', 'UPDATE "post" SET', 'UPDATE "post" SET', 'COMMIT']);
  const aborted = await cost(() =>
    dataSource
      .transaction(async (manager) => {
        await manager.insert(Post, { authorId: id });
        throw new Error('abort');
      })
      .catch(() => undefined),
  );
  expect(aborted.sql).toEqual(['START TRANSACTION', ENCLOSED, 'ROLLBACK']);
});

test('a flush of what many transactions wrote for one target: one UPDATE', async () => {
  await fixture.counters.flush();
  for (let i = 0; i < 10; i++) await dataSource.manager.insert(Post, { authorId: id });
  const sent = await cost(() => fixture.counters.flush());
  expect(sent.sql).toEqual([
    'SELECT w.shard, w.amounts,',
    'BEGIN ISOLATION LEVEL',
    'WITH t AS',
    'WITH i AS',
    'DELETE FROM "public"."counter_cache_outbox"',
    'COMMIT',
  ]);
  // A recalculation is asked for; the buffer itself holds nothing.
  expect(sent.scripts).toEqual(['add', 'claim']);
});

test('a recount knows the outbox from the same statement', async () => {
  await dataSource.manager.insert(Post, { authorId: id });
  const sent = await cost(async () => {
    expect(await fixture.counters.verify({ target: Author, ids: [id] })).toMatchObject({ checked: 1, fixedCount: 0 });
  });
  // The horizon, the recount.
  expect(sent.sql.map((sql) => sql.split(' ')[0])).toEqual(['SELECT', 'SELECT']);
});
