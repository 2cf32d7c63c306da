import { runTableCampaigns } from '../../../src/recount/campaign';
import { until } from '../../support/until';
import { openInternals } from '../internals';
import { countedAt, type Declared, Deployment, looks, noted, requests, seenAt, totals, type Version } from './versions';

const ALL: Declared = {};
const PUBLISHED: Declared = { where: { published: true } };

/** Every process that declares something has shown itself so often that one that is gone would be missed. */
const SILENCE = 8;

let deployment: Deployment;

beforeEach(async () => {
  deployment = await Deployment.create();
});
afterEach(() => deployment.close());

async function settled(version: Version): Promise<void> {
  await version.counters.flush();
  await version.counters.settled();
}

/** What was asked for before, and nothing since, after so many looks that it would have been. */
async function expectNothingAsked(version: Version, work: () => Promise<unknown> = async () => undefined) {
  const before = await countedAt(version);
  await work();
  await until(await looks(version, SILENCE));
  expect(await countedAt(version)).toEqual(before);
  expect(await noted(version)).toEqual([]);
}

/** One author with two posts, one of them published, counted by the first version; then its processes are gone. */
async function firstVersion(...declared: Declared[]): Promise<void> {
  const first = await deployment.attach(declared);
  await deployment.author(first);
  await settled(first);
  await first.close();
}

describe('a changed definition', () => {
  test('is recounted, once processes that declare the old one are gone', async () => {
    await firstVersion(ALL);
    const second = await deployment.attach([PUBLISHED], { worker: true });
    expect(await totals(second)).toEqual([2]);
    await until(async () => (await totals(second))[0] === 1);
    expect(await requests(second)).toBe(1);
    expect(second.errors).toEqual([]);
  });

  test('leaves the column alone while one of them lives, and then counts what that one wrote', async () => {
    deployment.patiently();
    const first = await deployment.attach([ALL]);
    const author = await deployment.author(first);
    await settled(first);
    const second = await deployment.attach([PUBLISHED], { worker: true });
    await expectNothingAsked(second, () => first.write(author, false));
    await until(async () => (await totals(second))[0] === 3);
    await first.close();
    await until(async () => (await totals(second))[0] === 1);
    expect(await requests(second)).toBe(1);
  });

  test('is recounted once by a fleet that starts at the same time', async () => {
    await firstVersion(ALL);
    const fleet = await Promise.all(
      Array.from({ length: 4 }, (_, i) => deployment.attach([PUBLISHED], { worker: i % 2 === 0 })),
    );
    const [second] = fleet as [Version, ...Version[]];
    await until(async () => (await totals(second))[0] === 1);
    await expectNothingAsked(second);
    expect(await requests(second)).toBe(1);
    expect(fleet.flatMap(({ errors }) => errors)).toEqual([]);
  });

  test('is recounted again when an old process came back for a time', async () => {
    await firstVersion(ALL);
    const second = await deployment.attach([PUBLISHED], { worker: true });
    await until(async () => (await totals(second))[0] === 1);
    const old = await deployment.attach([ALL]);
    await old.write(1, false);
    await old.counters.settled();
    await old.close();
    await until(async () => (await totals(second))[0] === 2);
    await until(async () => (await totals(second))[0] === 1);
    await expectNothingAsked(second);
    expect(await requests(second)).toBe(2);
  });

  test('is not recounted by turns while processes of both attach by turns', async () => {
    deployment.patiently();
    const both = [await deployment.attach([ALL], { worker: true })];
    await deployment.author(both[0] as Version);
    for (let i = 0; i < 3; i++) {
      const next = await deployment.attach([i % 2 === 0 ? PUBLISHED : ALL], { worker: true });
      both.push(next);
      await until(await looks(next, SILENCE / 4));
      await both.shift()?.close();
    }
    const counted = await countedAt(both[0] as Version);
    // The first definition, when the installation was new; the second, never.
    expect(counted.filter((one) => one.endsWith(' null'))).toHaveLength(1);
  });

  test('that is taken back is recounted, too', async () => {
    await firstVersion(ALL);
    const second = await deployment.attach([PUBLISHED], { worker: true });
    await until(async () => (await totals(second))[0] === 1);
    await second.close();
    const third = await deployment.attach([ALL], { worker: true });
    await until(async () => (await totals(third))[0] === 2);
  });

  test.each<[string, Declared, Declared[], number]>([
    ['another amount', {}, [{ incrementBy: 10 }], 20],
    ['another relation', {}, [{ relation: 'editor' }], 0],
    ['another source text of a function', { if: () => true }, [{ if: () => false }], 0],
    ['a second counter of the column', {}, [{}, { relation: 'editor' }], 2],
    ['a method', {}, [{ method: () => Promise.resolve(7) }], 7],
  ])('%s', async (_, before, after, expected) => {
    await firstVersion(before);
    const second = await deployment.attach(after, { worker: true });
    await until(async () => (await noted(second)).length === 0 && second.recounted() > 0);
    await until(async () => (await totals(second))[0] === expected);
  });

  test('in the outbox mode', async () => {
    const first = await deployment.attach([ALL], { mode: 'outbox' });
    const author = await deployment.author(first);
    // What the old one wrote still waits.
    await first.write(author, false);
    await first.close();
    const second = await deployment.attach([PUBLISHED], { worker: true, mode: 'outbox' });
    await until(async () => second.recounted() > 0 && (await totals(second))[0] === 1);
  });
});

describe('a counter', () => {
  test('that is added to a live table is recounted when no process is left that does not know it', async () => {
    deployment.patiently();
    const first = await deployment.attach([ALL]);
    const author = await deployment.author(first);
    await settled(first);
    const second = await deployment.attach([ALL, { column: 'other' }], { worker: true });
    await expectNothingAsked(second, () => first.write(author));
    expect(await totals(second, 'other')).toEqual([0]);
    await first.close();
    await until(async () => (await totals(second, 'other'))[0] === 3);
    await until(async () => (await totals(second))[0] === 3);
    expect(await requests(second)).toBe(1);
  });

  test('that moves to another column is recounted there; the old column is left as it is', async () => {
    await firstVersion(ALL);
    const second = await deployment.attach([{ column: 'other' }], { worker: true });
    await until(async () => (await totals(second, 'other'))[0] === 2);
    await second.write(1);
    await until(async () => (await totals(second, 'other'))[0] === 3);
    expect(await totals(second)).toEqual([2]);
  });

  test('that is removed asks for nothing, and is recounted when it is back', async () => {
    await firstVersion(ALL, { column: 'other' });
    const second = await deployment.attach([ALL], { worker: true });
    // It has noted by then that it does not know the other column.
    await until(await looks(second, 1));
    await expectNothingAsked(second, () => second.write(1));
    expect(await requests(second)).toBe(0);
    await second.close();
    const third = await deployment.attach([ALL, { column: 'other' }], { worker: true });
    await until(async () => (await totals(third, 'other'))[0] === 3);
    expect(await requests(third)).toBe(1);
  });

  test('that is only named, timed or handed over otherwise asks for nothing', async () => {
    await firstVersion(ALL);
    const second = await deployment.attach([{ name: 'posts', wait: 5, flushAt: 2, mode: 'outbox' }], {
      worker: true,
    });
    await expectNothingAsked(second);
    expect(await requests(second)).toBe(0);
  });
});

test('a new installation asks for nothing, whatever its columns hold', async () => {
  const first = await deployment.attach([ALL], { worker: true });
  await deployment.author(first);
  await settled(first);
  await first.dataSource.query('UPDATE author SET total = 9');
  await expectNothingAsked(first);
  expect(await totals(first)).toEqual([9]);
});

describe('what was noted and not done', () => {
  test('by a process that runs no worker, is done by a worker that starts later', async () => {
    await firstVersion(ALL);
    const writer = await deployment.attach([PUBLISHED]);
    await until(async () => (await noted(writer)).length === 1);
    await writer.close();
    const worker = await deployment.attach([PUBLISHED], { worker: true });
    await until(async () => (await totals(worker))[0] === 1);
    expect(await noted(worker)).toEqual([]);
    expect(await requests(worker)).toBe(1);
  });

  test('goes on from where it stood', async () => {
    const first = await deployment.attach([ALL]);
    const ids = [await deployment.author(first), await deployment.author(first)];
    await settled(first);
    await first.dataSource.query('UPDATE author SET total = 9');
    await first.dataSource.query('INSERT INTO counter_cache_state VALUES ($1, $2)', [
      'recount:author:id',
      JSON.stringify({ after: [String(ids[0])] }),
    ]);
    await first.counters.startWorker();
    await until(async () => (await noted(first)).length === 0 && (await totals(first))[1] === 2);
    expect(await totals(first)).toEqual([9, 2]);
  });

  test('is no trouble to two workers at once', async () => {
    await firstVersion(ALL);
    const writer = await deployment.attach([PUBLISHED]);
    await until(async () => (await noted(writer)).length === 1);
    await Promise.all([writer.counters.startWorker(), writer.counters.startWorker()]);
    await until(async () => (await totals(writer))[0] === 1);
    expect(await requests(writer)).toBe(1);
    expect(writer.errors).toEqual([]);
  });

  test('is left to workers that know the table', async () => {
    const first = await deployment.attach([ALL], { worker: true });
    await first.dataSource.query(`INSERT INTO counter_cache_state VALUES ('recount:elsewhere:id', '{}')`);
    await until(await looks(first, SILENCE));
    expect(await noted(first)).toHaveLength(1);
    expect(first.errors).toEqual([]);
  });
});

test('a recount that has been waiting for an hour is told, once', async () => {
  const first = await deployment.attach([ALL]);
  const second = await deployment.attach([PUBLISHED]);
  await second.dataSource.query(
    `UPDATE counter_cache_state SET value =
       (SELECT jsonb_object_agg(key, jsonb_set(entry.value, '{first}', '0')) FROM jsonb_each(value::jsonb) AS entry)::text
     WHERE starts_with(id, 'definition:')`,
  );
  await until(() => second.errors.length > 0);
  await until(await looks(second, 4));
  expect(second.errors).toMatchObject([{ code: 'STATE_MISMATCH', context: { column: 'Author.total' } }]);
  expect(first.errors).toEqual([]);
});

test('a process that is not allowed to say by which definitions it counts tells so', async () => {
  const first = await deployment.attach([ALL]);
  await first.dataSource.query(`
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE insufficient_privilege USING MESSAGE = 'permission denied'; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON counter_cache_state FOR EACH ROW EXECUTE FUNCTION refuse()`);
  await until(() => first.errors.length > 0);
  expect(first.errors).toMatchObject([{ code: 'STATE_MISMATCH', cause: { code: '42501' } }]);
  expect(String(first.errors[0])).toMatch(/counter_cache_state.*permission denied.*Grant/);
});

test('a closed process shows itself no more', async () => {
  const first = await deployment.attach([ALL]);
  const second = await deployment.attach([PUBLISHED]);
  await first.close();
  const before = await seenAt(second);
  await until(await looks(second, SILENCE));
  const after = await seenAt(second);
  // The second's is the one that goes on.
  expect(after.filter((seen) => before.includes(seen))).toHaveLength(1);
});

test('a request that fails half-way is made again', async () => {
  const first = await deployment.attach([ALL]);
  await deployment.author(first);
  await settled(first);
  await first.dataSource.query('UPDATE author SET total = 9');
  const { recalculations } = await first.counters.status();
  await first.dataSource.query(`INSERT INTO counter_cache_state VALUES ('recount:author:id', '{}')`);
  const internals = await openInternals(first.dataSource);
  const request = jest.spyOn(internals.context.buffer, 'requestRepair').mockRejectedValueOnce(new Error('no answer'));
  await expect(runTableCampaigns(internals.context)).rejects.toThrow('no answer');
  expect(await noted(first)).toHaveLength(1);
  // Nothing of it is in the buffer yet: a process that waits for all to be settled sees that something is asked for.
  await expect(first.counters.status()).resolves.toMatchObject({ recalculations: recalculations + 1 });
  await runTableCampaigns(internals.context);
  expect(request).toHaveBeenCalledTimes(2);
  expect(await noted(first)).toEqual([]);
  await internals.close();
  await first.counters.startWorker();
  await until(async () => (await totals(first))[0] === 2);
});
