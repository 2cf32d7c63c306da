import { describeVersions } from '../../support/versions';
import { runSequential } from './run';
import { versionOf } from './run-options';
import { PLAIN_SETTING } from './settings';
import { IS_REPLAY, sizeOf } from './sizes';
import { Tally } from './tally';

/** Seeds that once found a drift: a row that was referred to by type and key before it was there. */
const REGRESSIONS = [14];

const LONG = { seeds: 20, operations: 500 };
const sizes = {
  18: sizeOf({ seeds: 4, operations: 100 }, LONG),
  15: sizeOf({ seeds: 1, operations: 60 }, { ...LONG, ciSeeds: 3 }),
} as const;
const setting = PLAIN_SETTING;
const tally = new Tally();

/** Of one seed, ms; a run rejects at the first drift. */
const LIMIT = 600_000;

describeVersions('I1, I2: after every random operation, every counter column is the truth', (url, version) => {
  const server = { url: undefined, version };
  const { seeds, operations } = sizes[version];

  test.each(seeds.map((seed): [number, string] => [seed, versionOf(seed, server)]))(
    'seed %i, taken for %s',
    async (seed) => {
      const options = { seed, operations, tally, setting, server: { url: url(), version } };
      await expect(runSequential(options)).resolves.toBeDefined();
    },
    LIMIT,
  );
});

describe('on the server of this run', () => {
  test.each(REGRESSIONS)(
    'seed %i, which once found a drift',
    async (seed) => {
      await expect(runSequential({ seed, operations: 100, tally, setting })).resolves.toBeDefined();
    },
    LIMIT,
  );

  test('every kind of write occurred', () => {
    expect(IS_REPLAY ? [] : tally.missing()).toEqual([]);
  });

  test('a seed stands for one sequence of operations', async () => {
    const once = () => runSequential({ seed: 1, operations: 30, tally: new Tally(), setting });
    expect(await once()).toEqual(await once());
  });
});

afterAll(() => void process.stdout.write(`${tally.table('one after the other')}\n`));
