import type { DataSource } from 'typeorm';
import { Counters, type Durability } from 'typeorm-counter-cache';

import { startProxy } from '../support/proxy';
import { redisUrl } from '../support/redis';
import { type Fixture, newDataSource, setup, type SetupOptions } from '../support/setup';
import { Author, Post, TRUTH } from './blog';

/** One connection, so that what is prepared on it can be looked at. */
const ONE = { poolSize: 1 };

let fixture: Fixture | null = null;
afterEach(async () => {
  await fixture?.close();
  fixture = null;
});

async function start(options: Partial<SetupOptions> = {}): Promise<{ fixture: Fixture; authorId: number }> {
  fixture = await setup({ entities: [Author, Post], dataSource: ONE, ...options });
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
  const { fixture: f, authorId } = await start({ counters: { durability, recalculationDelay: 600_000_000 } });
  for (const [, write] of WAYS) for (let i = 0; i < 4; i++) await write(f.dataSource, authorId);
  const texts = await preparedOn(f.dataSource);
  expect(texts.length).toBeGreaterThan(0);
  for (const one of texts) expect(one).toMatch(text);
  await expectRight(f, 9);
  expect(f.errors).toEqual([]);
});

test('what is written to the outbox before COMMIT is prepared as well', async () => {
  const { fixture: f, authorId } = await start({ counters: { durability: 'outbox' } });
  for (let i = 0; i < 4; i++) await f.dataSource.manager.update(Post, { authorId }, { likes: () => 'likes + 1' });
  expect(await preparedOn(f.dataSource)).toEqual([expect.stringMatching(/^\s*INSERT INTO "counter_cache_outbox"/)]);
  await expectRight(f, 1);
});

test('updates, deletes and writes that feed no counter are not: their plans depend on what they are about', async () => {
  const { fixture: f, authorId } = await start();
  for (let i = 0; i < 4; i++) {
    await f.dataSource.manager.update(Post, { authorId }, { likes: () => 'likes + 1' });
    await f.dataSource.manager.delete(Post, { id: -1 });
    await f.dataSource.manager.insert(Author, { name: 'b' });
  }
  expect((await preparedOn(f.dataSource)).filter((text) => !text.startsWith('INSERT INTO "author"'))).toEqual([]);
});

test('not when it is turned off', async () => {
  const { fixture: f, authorId } = await start({ counters: { preparedStatements: false } });
  for (let i = 0; i < 4; i++) await f.dataSource.manager.insert(Post, { authorId });
  expect(await preparedOn(f.dataSource)).toEqual([]);
});

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
  const url = new URL(f.databaseUrl);
  const proxy = await startProxy({ host: url.hostname, port: Number(url.port) }, asPooler);
  url.port = String(proxy.port);
  const pooled = newDataSource(url.href, [Author, Post], { ...ONE, synchronize: false });
  const counters = await Counters.attach(pooled, { redis: redisUrl() });
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

describe.each<Durability>(['guarded', 'outbox'])('%s', (durability) => {
  async function prepare(): Promise<{ fixture: Fixture; authorId: number }> {
    const started = await start({ counters: { durability } });
    for (const [, write] of WAYS) for (let i = 0; i < 3; i++) await write(started.fixture.dataSource, started.authorId);
    expect(await preparedOn(started.fixture.dataSource)).not.toEqual([]);
    return started;
  }

  describe.each([
    ['a column that is returned has another type', `ALTER TABLE post ALTER COLUMN "authorId" TYPE bigint`, 0],
    ['the connection has forgotten all of them', 'DEALLOCATE ALL', 1],
  ] as const)('%s', (_what, sql, errors) => {
    test('an insert by itself goes through', async () => {
      const { fixture: f, authorId } = await prepare();
      await f.dataSource.query(sql);
      for (let i = 0; i < 3; i++) await f.dataSource.manager.insert(Post, { authorId });
      await expectRight(f, 10);
      expect(f.errors).toHaveLength(errors);
    });

    test('a transaction fails once, as a whole', async () => {
      const { fixture: f, authorId } = await prepare();
      await f.dataSource.query(sql);
      await expect(f.dataSource.manager.save(Post, { authorId })).rejects.toThrow(/cached plan|prepared statement/);
      for (let i = 0; i < 3; i++) await f.dataSource.manager.save(Post, { authorId });
      await expectRight(f, 10);
      expect(f.errors).toHaveLength(errors);
    });
  });
});
