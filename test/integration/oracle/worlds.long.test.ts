import { describeVersions } from '../../support/versions';
import { runSequential } from './run';
import { versionOf } from './run-options';
import { chosenSettings } from './settings';
import type { Setting } from './settings/setting';
import { IS_REPLAY, sizeOf } from './sizes';
import { Tally } from './tally';

/** Of each world. A short run of the older server takes the next seed, for the more of them. */
const sizes = {
  18: sizeOf({ seeds: 2, operations: 30 }, { seeds: 20, operations: 500, ciSeeds: 2 }),
  15: sizeOf({ seeds: 1, operations: 30, from: 3 }, { seeds: 10, operations: 500, from: 21, ciSeeds: 1 }),
} as const;

const settings = chosenSettings();
const tallies = new Map(settings.map((setting): [Setting, Tally] => [setting, new Tally()]));

/** Of one seed, ms; a run rejects at the first drift. */
const LIMIT = 600_000;

describeVersions('I1, I2, I9', (url, version) => {
  const { seeds, operations } = sizes[version];
  const cases = settings.flatMap((setting) =>
    seeds.map((seed): [string, number, string, Setting] => [
      setting.name,
      seed,
      versionOf(seed, { url: undefined, version }),
      setting,
    ]),
  );

  test.each(cases)(
    '%s, seed %i, taken for %s: after every random operation, every counter column is the truth',
    async (_name, seed, _version, setting) => {
      const tally = tallies.get(setting) ?? new Tally();
      const options = { seed, operations, tally, setting, server: { url: url(), version } };
      await expect(runSequential(options)).resolves.toBeDefined();
    },
    LIMIT,
  );
});

test('every kind of write occurred', () => {
  const isLong = process.env['ORACLE'] === 'full' && !IS_REPLAY;
  const missing = [...tallies].map(([{ name }, tally]) => [name, isLong ? tally.missing() : []]);
  expect(missing).toEqual(settings.map(({ name }) => [name, []]));
});

afterAll(() => {
  for (const [{ name }, tally] of tallies) process.stdout.write(`${tally.table(name)}\n`);
});
