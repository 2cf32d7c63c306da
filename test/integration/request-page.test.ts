import { requestPage } from '../../src/recount/campaign';
import { withTransaction } from '../../src/dialects/postgres/query';
import { type Fixture, setup } from '../support/setup';
import { Author, Post } from './blog';
import { type Internals, openInternals } from './internals';

const SHARDS = 64;

let fixture: Fixture;
let internals: Internals;
beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post], counters: { shards: SHARDS } });
  internals = await openInternals(fixture.dataSource, { shards: SHARDS });
});
afterAll(async () => {
  await internals.close();
  await fixture.close();
});

test('recalculations of one page are requested of all shards at once, however far away Redis is', async () => {
  const { context } = internals;
  await fixture.dataSource.query(`INSERT INTO author (name, version) SELECT 'a', 1 FROM generate_series(1, 1000)`);
  const [targetTable] = [...context.definitions.targetTables.values()];
  if (targetTable === undefined) throw new Error('there is no target table');
  const requested = new Set<number>();
  let answer = (): void => undefined;
  const answered = new Promise<void>((resolve) => (answer = resolve));
  // Redis does not answer before it is asked about all of them.
  const buffer = Object.create(context.buffer, {
    shards: { value: SHARDS },
    requestRepair: {
      value: async (shard: number): Promise<[]> => {
        requested.add(shard);
        if (requested.size === SHARDS) answer();
        await answered;
        return [];
      },
    },
  }) as typeof context.buffer;
  const shards = Array.from({ length: SHARDS }, (_, shard) => shard);
  await withTransaction(fixture.dataSource, 'READ COMMITTED', (runner) =>
    requestPage({ buffer, schedule: context.schedule, events: context.events }, runner, targetTable, null, shards),
  );
  expect(requested.size).toBe(SHARDS);
});
