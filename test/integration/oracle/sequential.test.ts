import { runSequential } from './run';
import { versionOf } from './run-options';
import { IS_REPLAY, sizeOf } from './sizes';
import { Tally } from './tally';

/** Seeds that found something, each with what it was. They mean nothing any more once a kind of write is added. */
const REGRESSIONS: readonly { readonly seed: number; readonly operations: number }[] = [];

const { seeds, operations } = sizeOf({ seeds: 4, operations: 150 }, { seeds: 20, operations: 500 });
const tally = new Tally();

describe('I1, I2: after every random operation, every counter column is the truth', () => {
  test.each(seeds.map((seed): [number, string] => [seed, versionOf(seed)]))(
    'seed %i, PostgreSQL %s',
    async (seed) => {
      expect(await runSequential({ seed, operations, tally })).not.toEqual([]);
    },
    600_000,
  );

  test('seeds that found something', async () => {
    for (const regression of REGRESSIONS) await runSequential({ ...regression, tally });
    expect(IS_REPLAY ? [] : tally.missing()).toEqual([]);
  });

  test('a seed stands for one sequence of operations', async () => {
    const once = () => runSequential({ seed: 1, operations: 30, tally: new Tally() });
    expect(await once()).toEqual(await once());
  });
});

afterAll(() => void process.stdout.write(`${tally.table()}\n`));
