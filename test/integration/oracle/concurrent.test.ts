import { runConcurrent } from './run';
import { versionOf } from './run-options';
import { IS_REPLAY, sizeOf } from './sizes';
import { Tally } from './tally';

/**
 * Seeds that once found a drift. What they met depends on time as well, so each has a test that always meets it:
 * `upsert-retry` and `late-writes`.
 */
const REGRESSIONS = [1_007, 1_011];

const { seeds, operations } = sizeOf({ seeds: 2, operations: 60 }, { seeds: 10, operations: 200 });
const tally = new Tally();

/** Of one seed, ms; a run rejects at the first drift. */
const LIMIT = 600_000;

describe('I1, I2: when 8 clients have made their random operations, every counter column is the truth', () => {
  test.each(seeds.map((seed): [number, string] => [seed, versionOf(seed)]))(
    'seed %i, PostgreSQL %s',
    async (seed) => {
      await expect(runConcurrent({ seed, operations, clients: 8, tally })).resolves.toBeDefined();
    },
    LIMIT,
  );

  test.each(REGRESSIONS)(
    'seed %i, which once found a drift',
    async (seed) => {
      await expect(runConcurrent({ seed, operations: 60, clients: 8, tally })).resolves.toBeDefined();
    },
    LIMIT,
  );

  test('every kind of write occurred', () => {
    expect(IS_REPLAY ? [] : tally.missing()).toEqual([]);
  });
});

afterAll(() => void process.stdout.write(`${tally.table()}\n`));
