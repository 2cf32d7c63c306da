import { applyBatch } from '../../src/dialects/postgres/apply/apply';
import { type Fixture, setup } from '../support/setup';
import { Author, Post } from './blog';
import { type Internals, openInternals } from './internals';

let fixture: Fixture;
let internals: Internals;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post], counters: { shards: 1 } });
  internals = await openInternals(fixture.dataSource, { shards: 1 });
});
afterAll(async () => {
  await internals.close();
  await fixture.close();
});

test('read() counts what a batch did not apply, before anybody has given it back', async () => {
  const { dataSource, counters } = fixture;
  const { context } = internals;
  const [held, free] = await dataSource.manager.save(Author, [{ name: 'held' }, { name: 'free' }]);
  const ids = [held?.id ?? 0, free?.id ?? 0];
  await dataSource.manager.insert(
    Post,
    ids.flatMap((authorId) => [{ authorId }, { authorId }]),
  );
  await counters.settled();
  const { batch } = await context.buffer.claim(0, { select: 'dirty', tableIds: null }, 10);
  if (batch === null) throw new Error('nothing to claim');
  const holder = dataSource.createQueryRunner();
  await holder.query('BEGIN');
  await holder.query('SELECT 1 FROM author WHERE id = $1 FOR UPDATE', [ids[0]]);
  const { unapplied } = await applyBatch(dataSource, context.tables, context.definitions, batch, false);
  await holder.query('ROLLBACK');
  await holder.release();
  expect(unapplied).toHaveLength(1);
  const read = async () => [...(await counters.read(Author, ids, 'postsCount')).values()];
  expect(await read()).toEqual([2, 2]);
  await context.buffer.acknowledge(0, batch.id, unapplied);
  expect(await read()).toEqual([2, 2]);
});
