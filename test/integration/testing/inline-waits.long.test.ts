import type { DataSource } from 'typeorm';
import type { Mode } from 'typeorm-counter-cache';
import { attachForTests } from 'typeorm-counter-cache/testing';

import { internalsOf } from '../../../src/internals';
import { holdCommit } from '../../support/hold-commit';
import { type PostgresServer, startPostgres } from '../../support/services';
import { turns } from '../../support/turns';
import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { type Attached, attached } from './attached';

const MODES: readonly Mode[] = ['buffered', 'outbox'];

let server: PostgresServer;

beforeAll(async () => {
  // Transactions that are open here for seconds would hold up the repairs of other test files.
  server = await startPostgres();
  process.env['DATABASE_URL'] = server.url;
});
afterAll(() => server.stop());

/** Has another transaction lock something; returns what commits it. */
async function lock(dataSource: DataSource, sql: string, parameters: unknown[] = []): Promise<() => Promise<void>> {
  const runner = dataSource.createQueryRunner();
  await runner.startTransaction();
  await runner.query(sql, parameters);
  return async () => {
    await runner.commitTransaction();
    await runner.release();
  };
}

const LOCK_AUTHOR = `UPDATE author SET name = 'locked' WHERE id = $1`;

describe.each(MODES)('inline, %s: what a commit waits for', (mode) => {
  let here: Attached;
  let id: number;

  beforeAll(async () => {
    here = await attached([Author, Post], { inline: true, mode });
  });
  beforeEach(async () => {
    ({ id } = await here.dataSource.manager.save(Author, { name: 'a' }));
  });
  afterEach(() => {
    expect(here.errors.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await here.counters.expectNoDrift();
    await here.close();
  });

  async function count(): Promise<number> {
    return (await here.dataSource.manager.findOneByOrFail(Author, { id })).postsCount;
  }

  test('a row that another transaction has locked does not hold up the commit; it follows by itself', async () => {
    const { dataSource, counters } = here;
    const unlock = await lock(dataSource, LOCK_AUTHOR, [id]);
    await dataSource.manager.insert(Post, { authorId: id });
    expect(await count()).toBe(0);
    const error: unknown = await counters.flushAll({ timeout: 2_000 }).catch((found: unknown) => found);
    await unlock();
    expect(error).toMatchObject({
      code: 'NOT_FLUSHED',
      message: expect.stringContaining('1 targets with pending deltas') as unknown,
    });
    await until(async () => (await count()) === 1);
  });

  test('what another call gives back follows by itself, though a run did not find it meanwhile', async () => {
    const { dataSource, counters } = here;
    const unlock = await lock(dataSource, LOCK_AUTHOR, [id]);
    await dataSource.manager.insert(Post, { authorId: id });
    const { context } = await internalsOf(counters).opening.open();
    const { buffer } = context;
    const shards = Array.from({ length: buffer.shards }, (_, shard) => shard);
    const claims = await Promise.all(
      shards.map((shard) => buffer.claim(shard, { select: 'dirty', tableIds: null }, 100)),
    );
    await unlock();
    // Claimed, it is not found.
    await dataSource.manager.insert(Post, { authorId: (await dataSource.manager.save(Author, { name: 'b' })).id });
    expect(await count()).toBe(mode === 'buffered' ? 0 : 1);
    for (const { batch } of claims) {
      if (batch === null) continue;
      const targets = batch.entries.map(({ target }) => ({ target, backoff: 50 }));
      const { wakeUps } = await buffer.acknowledge(batch.shard, batch.id, targets);
      await context.schedule(wakeUps);
    }
    await until(async () => (await count()) === 1);
  });

  test('such a row follows though nothing else is written, nor asked for', async () => {
    const { dataSource } = here;
    const unlock = await lock(dataSource, LOCK_AUTHOR, [id]);
    await dataSource.manager.insert(Post, { authorId: id });
    await unlock();
    await until(async () => (await count()) === 1);
  });

  test('a listener of `reconciled` may write, and that is applied as well', async () => {
    const { dataSource, counters } = here;
    const writes: Promise<unknown>[] = [];
    counters.on('reconciled', () => {
      if (writes.length === 0) writes.push(dataSource.manager.insert(Post, { authorId: id }));
    });
    await dataSource.manager.insert(Post, { authorId: id });
    await until(async () => (await count()) === 2);
    await Promise.all(writes);
  });

  test('a commit waits for a lock that applying needs for some seconds only', async () => {
    const { dataSource } = here;
    const other = await dataSource.manager.save(Author, { name: 'other' });
    await dataSource.query(`
      CREATE FUNCTION touch_other() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN UPDATE author SET name = 'touched' WHERE id = ${other.id}; RETURN NULL; END $$;
      CREATE TRIGGER touch_other AFTER UPDATE ON author FOR EACH ROW WHEN (NEW.id = ${id}) EXECUTE FUNCTION touch_other()`);
    const unlock = await lock(dataSource, LOCK_AUTHOR, [other.id]);
    await dataSource.manager.insert(Post, { authorId: id });
    await unlock();
    await until(async () => (await count()) === 1);
    await dataSource.query('DROP FUNCTION touch_other CASCADE');
  });
});

test.each(MODES)('a run that fails is followed by another one, though nothing else is written, %s', async (mode) => {
  const overrides = { extra: { options: '-c lock_timeout=300' } };
  const here = await attached([Author, Post], { inline: true, mode, wait: 200, window: 100 }, overrides);
  const { dataSource, counters, errors } = here;
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  const unlock = await lock(dataSource, 'LOCK TABLE author IN SHARE MODE');
  await dataSource.manager.insert(Post, { authorId: id });
  await until(() => errors.length > 0);
  // The wake-up of the write itself has fired by now.
  await until(() => errors.length > 1);
  await unlock();
  await until(async () => (await dataSource.manager.findOneByOrFail(Author, { id })).postsCount === 1);
  expect(errors.map((error) => (error as { code?: unknown }).code)).toEqual(errors.map(() => '55P03'));
  await counters.expectNoDrift();
  await here.close();
});

test.each(MODES)('a scheduled recount comes at its time, %s', async (mode) => {
  const here = await attached([Author, Post], { inline: true, mode, recalculationDelay: 300, window: 100 });
  const { dataSource, counters } = here;
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  await dataSource.manager.insert(Post, { authorId: id });
  await dataSource.query('UPDATE author SET "postsCount" = 7');
  await until(async () => (await dataSource.manager.findOneByOrFail(Author, { id })).postsCount === 1);
  expect(here.errors).toEqual([]);
  await counters.close();
  await here.close();
});

test.each(MODES)('close() does not wait for ever for a lock of a transaction that is open, %s', async (mode) => {
  const here = await attached([Author, Post], { inline: true, mode });
  const { dataSource, counters } = here;
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  const unlock = await lock(dataSource, 'LOCK TABLE author IN SHARE MODE');
  await dataSource.manager.insert(Post, { authorId: id });
  await counters.close();
  expect(here.errors).toEqual([]);
  await unlock();
  await here.close();
});

test.each(MODES)('what is committed while close() waits for a run is not lost, %s', async (mode) => {
  const here = await attached([Author, Post], { inline: true, mode });
  const { dataSource, counters } = here;
  const slow = await dataSource.manager.save(Author, { name: 'slow' });
  const other = await dataSource.manager.save(Author, { name: 'other' });
  await dataSource.query(`
    CREATE FUNCTION wait_some() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.6); RETURN NEW; END $$;
    CREATE TRIGGER wait_some BEFORE UPDATE ON author FOR EACH ROW WHEN (NEW.name = 'slow') EXECUTE FUNCTION wait_some()`);
  const writing = dataSource.manager.insert(Post, { authorId: slow.id });
  const isSleeping = `SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'`;
  await until(async () => (await dataSource.query<unknown[]>(isSleeping)).length > 0);
  const closing = counters.close();
  await dataSource.manager.insert(Post, { authorId: other.id });
  await Promise.all([writing, closing]);
  const again = await attachForTests(dataSource, { inline: true, mode });
  const drifts: unknown[] = [];
  again.on('drift', (drift) => drifts.push(drift));
  await again.flushAll();
  const count = async ({ id }: { readonly id: number }) =>
    (await dataSource.manager.findOneByOrFail(Author, { id })).postsCount;
  expect([await count(slow), await count(other)]).toEqual([1, 1]);
  expect([here.errors, drifts]).toEqual([[], []]);
  await again.close();
  await here.close();
});

test.each(MODES)('close() applies what is being committed, and what a lock held up, %s', async (mode) => {
  const here = await attached([Author, Post], { inline: true, mode, wait: 60_000 });
  const { dataSource, counters } = here;
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  const unlock = await lock(dataSource, LOCK_AUTHOR, [id]);
  await dataSource.manager.insert(Post, { authorId: id });
  await unlock();
  const own = dataSource.createQueryRunner();
  const { held, letGo } = holdCommit(dataSource, own);
  await own.startTransaction();
  await own.manager.insert(Post, { authorId: id });
  const committing = own.commitTransaction();
  await held();
  const closing = counters.close();
  await turns(20);
  letGo();
  await Promise.all([committing, closing]);
  await own.release();
  const count = async () => (await dataSource.manager.findOneByOrFail(Author, { id })).postsCount;
  // In `outbox` what is committed during close() waits there for the next who comes.
  expect(await count()).toBeGreaterThanOrEqual(mode === 'buffered' ? 2 : 1);
  await expect(counters.flushAll()).rejects.toMatchObject({ code: 'CLOSED' });
  const again = await attachForTests(dataSource, { inline: true, mode });
  await again.flushAll();
  expect(await count()).toBe(2);
  expect(here.errors).toEqual([]);
  await again.close();
  await here.close();
});

test('a DataSource that is destroyed without close() leaves no runs behind', async () => {
  const here = await attached([Author, Post], { inline: true, recalculationDelay: 200, window: 50 });
  const { dataSource, counters, errors } = here;
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  await dataSource.manager.insert(Post, { authorId: id });
  await dataSource.destroy();
  const { buffer } = (internalsOf(counters).opening.last ?? { context: null }).context ?? {};
  if (buffer === undefined) throw new Error('it was open');
  const shards = Array.from({ length: buffer.shards }, (_, shard) => shard);
  // The wake-up of the recount fires.
  await until(async () => {
    const due = await Promise.all(shards.map((shard) => buffer.dueRecalculations(shard, 1)));
    return due.flat().length > 0;
  });
  await turns(100);
  expect(errors).toEqual([]);
  await here.close();
});

test.each(MODES)('counters that are closed while commits are under way report nothing, %s', async (mode) => {
  const here = await attached([Author, Post], { inline: true, mode });
  const { dataSource, counters } = here;
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  const writes = Array.from({ length: 30 }, async (_, i) => {
    await turns(3 * i);
    await dataSource.manager.insert(Post, { authorId: id });
  });
  await turns(10);
  await counters.close();
  await Promise.all(writes);
  expect(here.errors).toEqual([]);
  const again = await attachForTests(dataSource, { inline: true, mode });
  await again.expectNoDrift();
  await again.close();
  await here.close();
});
