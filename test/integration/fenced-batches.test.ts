import type { Batch } from '../../src/model/pending';
import { finishBatch } from '../../src/engines/buffered/reconcile';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from './blog';
import { type Internals, openInternals } from './internals';

const OPTIONS = { shards: 1 } as const;

let fixture: Fixture;
let internals: Internals;

beforeEach(async () => {
  fixture = await setup({ entities: [Author, Post], counters: OPTIONS });
  internals = await openInternals(fixture.dataSource, OPTIONS);
});
afterEach(async () => {
  await internals.close();
  await fixture.close();
  // A loss of data is reported, and nothing else.
  const codes = fixture.errors.map((error) => (error as { code?: string }).code);
  expect(codes.filter((code) => code !== 'BUFFER_LOST')).toEqual([]);
});

async function countOf(id: number): Promise<number> {
  return (await fixture.dataSource.manager.findOneByOrFail(Author, { id })).postsCount;
}

/** An author with three posts, all of them in a batch that was claimed and not applied. */
async function claimed(): Promise<{ id: number; batch: Batch }> {
  const { id } = await fixture.dataSource.manager.save(Author, { name: 'a' });
  await fixture.dataSource.manager.insert(Post, [{ authorId: id }, { authorId: id }, { authorId: id }]);
  await fixture.counters.settled();
  const { batch } = await internals.context.buffer.claim(0, { select: 'dirty', tableIds: null }, 10);
  if (batch === null) throw new Error('nothing to claim');
  return { id, batch };
}

describe('I3: nobody can tell whether a batch was applied', () => {
  test.each([
    ['when its shard has lost its data since', `UPDATE counter_cache_shard SET "epoch" = "epoch" + 1`],
    [
      'when the ledger has forgotten its time',
      `UPDATE counter_cache_state SET "value" = '99999999999999' WHERE "id" = 'ledger_floor'`,
    ],
  ])('%s: it is not applied, and its targets are recounted', async (_, event) => {
    const { id, batch } = await claimed();
    await fixture.dataSource.query(event);
    expect(await finishBatch(internals.context, batch)).toEqual({ batches: 0, targets: 0, unapplied: 0, updates: 0 });
    expect(await countOf(id)).toBe(0);
    expect(await fixture.counters.status()).toMatchObject({ dirty: 0, batches: 0, recalculations: 1 });
    // As after a purge that ends: what is claimed from now on is above the floor.
    await fixture.dataSource.query(`UPDATE counter_cache_state SET "value" = '0' WHERE "id" = 'ledger_floor'`);
    await fixture.counters.startWorker();
    await until(async () => (await countOf(id)) === 3);
    await until(async () => (await fixture.counters.status()).batches === 0);
    expect(await fixture.counters.verify()).toMatchObject({ checked: 1, fixedCount: 0 });
  });

  test('a batch of which the ledger knows is only acknowledged, even from before a loss of data', async () => {
    const { id, batch } = await claimed();
    await finishBatch(internals.context, batch);
    expect(await countOf(id)).toBe(3);
    await fixture.dataSource.query(`UPDATE counter_cache_shard SET "epoch" = "epoch" + 1`);
    expect(await finishBatch(internals.context, batch)).toMatchObject({ batches: 0, updates: 0 });
    await fixture.counters.startWorker();
    await until(async () => (await fixture.counters.status()).batches === 0);
    expect(await countOf(id)).toBe(3);
  });
});
