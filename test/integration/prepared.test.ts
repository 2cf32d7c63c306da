import type { DataSource } from 'typeorm';
import { PostgresQueryRunner as Runner } from 'typeorm/driver/postgres/PostgresQueryRunner';
import { Counters, type CountersOptions, type Durability } from 'typeorm-counter-cache';

import { startDatabaseProxy } from '../support/proxy';
import { redisUrl } from '../support/redis';
import { startRedis } from '../support/services';
import { execute } from '../support/database';
import { type Fixture, newDataSource, setup, type SetupOptions } from '../support/setup';
import { until } from '../support/until';
import { Author, Post, TRUTH } from './blog';

type Query = (this: object, sql: string, ...rest: unknown[]) => Promise<unknown>;
const PostgresQueryRunner = Runner as unknown as { readonly prototype: { query: Query } };

/** One connection, so that what is prepared on it can be looked at. */
const ONE = { poolSize: 1 };

let fixture: Fixture | null = null;
afterEach(async () => {
  await fixture?.close();
  fixture = null;
});

async function start(
  counters: Partial<CountersOptions> = {},
  dataSource: SetupOptions['dataSource'] = ONE,
): Promise<{ fixture: Fixture; authorId: number }> {
  fixture = await setup({
    entities: [Author, Post],
    dataSource: dataSource ?? {},
    counters: { preparedStatements: true, ...counters },
  });
  const { id } = await fixture.dataSource.manager.save(Author, { name: 'a' });
  // The installation is known from the first counted write on.
  await fixture.dataSource.manager.insert(Post, { authorId: id });
  await fixture.counters.settled();
  return { fixture, authorId: id };
}

/** Texts that the library has prepared on the one connection. */
async function preparedOn(dataSource: DataSource): Promise<string[]> {
  const rows = await dataSource.query<{ statement: string }[]>(
    `SELECT statement FROM pg_prepared_statements WHERE starts_with(name, 'counter_cache_') ORDER BY 1`,
  );
  return rows.map(({ statement }) => statement);
}

async function expectRight({ counters, dataSource }: Fixture, posts: number): Promise<void> {
  await counters.flush();
  const [row] = await dataSource.query<Record<string, number>[]>(TRUTH);
  expect(row).toMatchObject({ posts, postsCount: posts });
}

const WAYS: readonly (readonly [string, (dataSource: DataSource, authorId: number) => Promise<unknown>])[] = [
  ['insert()', (dataSource, authorId) => dataSource.manager.insert(Post, { authorId })],
  ['save()', (dataSource, authorId) => dataSource.manager.save(Post, { authorId })],
];

test.each<readonly [Durability, RegExp]>([
  ['guarded', /^INSERT INTO "post"/],
  ['relaxed', /^INSERT INTO "post"/],
  ['outbox', /^WITH "__cc_outbox" AS \(INSERT/],
])('%s: inserts of counted rows are prepared, once per connection', async (durability, text) => {
  const { fixture: f, authorId } = await start({ durability });
  for (const [, write] of WAYS) for (let i = 0; i < 4; i++) await write(f.dataSource, authorId);
  const texts = await preparedOn(f.dataSource);
  expect(texts.length).toBeGreaterThan(0);
  for (const one of texts) expect(one).toMatch(text);
  await expectRight(f, 9);
  expect(f.errors).toEqual([]);
});

test('what is written to the outbox before COMMIT is prepared as well', async () => {
  const { fixture: f, authorId } = await start({ durability: 'outbox' });
  for (let i = 0; i < 4; i++) await f.dataSource.manager.update(Post, { authorId }, { likes: () => 'likes + 1' });
  expect(await preparedOn(f.dataSource)).toEqual([
    expect.stringMatching(/^\s*INSERT INTO "public"."counter_cache_outbox"/),
  ]);
  await expectRight(f, 1);
});

test('updates, deletes and writes that feed no counter are not: their plans depend on what they are about', async () => {
  const { fixture: f, authorId } = await start();
  for (let i = 0; i < 4; i++) {
    await f.dataSource.manager.update(Post, { authorId }, { likes: () => 'likes + 1' });
    await f.dataSource.manager.delete(Post, { id: -1 });
    await f.dataSource.manager.insert(Author, { name: 'b' });
  }
  expect(await preparedOn(f.dataSource)).toEqual([]);
});

test('an update whose INSERT into the outbox is gone from its connection is sent once more', async () => {
  const { fixture: f, authorId } = await start({ durability: 'outbox' });
  const update = () => f.dataSource.manager.update(Post, { authorId }, { likes: () => 'likes + 1' });
  for (let i = 0; i < 4; i++) await update();
  expect(await preparedOn(f.dataSource)).toHaveLength(1);
  await f.dataSource.query('DEALLOCATE ALL');
  await update();
  expect(await f.dataSource.manager.findOneByOrFail(Post, {})).toMatchObject({ likes: 5 });
  await expectRight(f, 1);
  expect(f.errors).toHaveLength(1);
});

test('what falls back to the outbox is written there, though its INSERT is gone from the connection', async () => {
  const server = await startRedis();
  try {
    const { fixture: f, authorId } = await start({ redis: server.url, redisTimeout: 100 });
    await server.kill();
    const update = () => f.dataSource.manager.update(Post, { authorId }, { likes: () => 'likes + 1' });
    for (let i = 0; i < 4; i++) await update();
    expect(await preparedOn(f.dataSource)).toHaveLength(1);
    await f.dataSource.query('DEALLOCATE ALL');
    await update();
    const [outbox] = await f.dataSource.query<{ sum: string }[]>(
      `SELECT sum(amount)::text AS sum FROM counter_cache_outbox WHERE "column" = 'likesSum'`,
    );
    expect(outbox).toEqual({ sum: '5' });
    await server.restart({ keepData: false });
    await until(() =>
      f.counters.status().then(
        () => true,
        () => false,
      ),
    );
    await f.counters.startWorker();
    await until(async () => (await f.dataSource.manager.findOneByOrFail(Author, { id: authorId })).likesSum === 5);
    await fixture?.close();
    fixture = null;
  } finally {
    await server.stop();
  }
});

test('not when it is turned off', async () => {
  const { fixture: f, authorId } = await start({ preparedStatements: false });
  for (let i = 0; i < 4; i++) await f.dataSource.manager.insert(Post, { authorId });
  expect(await preparedOn(f.dataSource)).toEqual([]);
});

/** A prepared parameter keeps its type, which cannot be assigned to the new one. */
const NUMBERED = `ALTER TABLE post ALTER COLUMN title DROP DEFAULT, ALTER COLUMN title TYPE integer USING 1`;

/** Poolers answer for themselves when a connection begins, with a process id and a key of their own. */
function asPooler(answer: Buffer): Buffer {
  const at = answer.indexOf(Buffer.from([0x4b, 0, 0, 0, 12]));
  if (at < 0) return answer;
  const rewritten = Buffer.from(answer);
  rewritten.writeInt32BE(rewritten.readInt32BE(at + 5) + 1, at + 5);
  return rewritten;
}

test('not through a pooler, whose connections are not those of the database', async () => {
  const { fixture: f, authorId } = await start();
  const { proxy, url } = await startDatabaseProxy(f.databaseUrl, asPooler);
  const pooled = newDataSource(url, [Author, Post], { ...ONE, synchronize: false });
  const counters = await Counters.attach(pooled, { redis: redisUrl(), preparedStatements: true });
  try {
    await pooled.initialize();
    for (let i = 0; i < 4; i++) await pooled.manager.insert(Post, { authorId });
    expect(await preparedOn(pooled)).toEqual([]);
  } finally {
    await counters.close();
    await pooled.destroy();
    await proxy.close();
  }
  await expectRight(f, 5);
});

const FORGET = 'DEALLOCATE ALL';

describe.each<Durability>(['guarded', 'outbox'])('%s', (durability) => {
  async function prepare(): Promise<{ fixture: Fixture; authorId: number }> {
    // No look at the tables comes before the write that meets their change.
    const started = await start({ durability, sweepInterval: 600_000 });
    for (const [, write] of WAYS) for (let i = 0; i < 3; i++) await write(started.fixture.dataSource, started.authorId);
    expect(await preparedOn(started.fixture.dataSource)).not.toEqual([]);
    return started;
  }

  describe.each([
    ['a column that is returned has another type', `ALTER TABLE post ALTER COLUMN "authorId" TYPE bigint`, 0],
    ['a column that is not returned has another type', NUMBERED, 0],
    ['the connection has forgotten all of them', FORGET, 1],
  ] as const)('%s', (_what, sql, errors) => {
    async function preparedWithTitles(): Promise<{ fixture: Fixture; authorId: number }> {
      const started = await prepare();
      const { manager } = started.fixture.dataSource;
      for (let i = 0; i < 3; i++) await manager.insert(Post, { authorId: started.authorId, title: '1' });
      for (let i = 0; i < 3; i++) await manager.save(Post, { authorId: started.authorId, title: '1' });
      // Tables are changed by another process: what this one changes it looks at before its next write.
      if (sql === FORGET) await started.fixture.dataSource.query(sql);
      else await execute(started.fixture.databaseUrl, sql);
      return started;
    }

    test('an insert by itself goes through', async () => {
      const { fixture: f, authorId } = await preparedWithTitles();
      for (let i = 0; i < 3; i++) await f.dataSource.manager.insert(Post, { authorId, title: '7' });
      await expectRight(f, 16);
      expect(f.errors).toHaveLength(errors);
    });

    test('a transaction fails once, as a whole', async () => {
      const { fixture: f, authorId } = await preparedWithTitles();
      await expect(f.dataSource.manager.save(Post, { authorId, title: '7' })).rejects.toThrow(
        /cached plan|prepared statement|expression is of type/,
      );
      for (let i = 0; i < 3; i++) await f.dataSource.manager.save(Post, { authorId, title: '7' });
      await expectRight(f, 16);
      expect(f.errors).toHaveLength(errors);
    });
  });

  test('a trigger may fail in any way it likes', async () => {
    const { fixture: f, authorId } = await prepare();
    await f.dataSource.query(
      `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'mine' USING ERRCODE = '26000'; END $$;
       CREATE TRIGGER fail BEFORE INSERT ON post FOR EACH ROW EXECUTE FUNCTION fail()`,
    );
    for (const [, write] of WAYS) await expect(write(f.dataSource, authorId)).rejects.toThrow('mine');
    await f.dataSource.query('DROP TRIGGER fail ON post');
    for (const [, write] of WAYS) await write(f.dataSource, authorId);
    await expectRight(f, 9);
    expect(f.errors).toEqual([]);
  });

  test('others may add to the text on its way', async () => {
    const { fixture: f, authorId } = await prepare();
    const { query } = PostgresQueryRunner.prototype;
    let n = 0;
    PostgresQueryRunner.prototype.query = function (this: object, sql: string, ...rest: unknown[]) {
      return query.call(this, `${sql} /* ${(n += 1)} */`, ...rest);
    };
    try {
      for (let i = 0; i < 3; i++) for (const [, write] of WAYS) await write(f.dataSource, authorId);
    } finally {
      PostgresQueryRunner.prototype.query = query;
    }
    await expectRight(f, 13);
    expect(f.errors).toEqual([]);
  });
});
