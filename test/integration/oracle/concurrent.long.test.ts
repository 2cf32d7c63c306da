import { runConcurrent } from './run';
import { versionOf } from './run-options';
import { chosenSettings, PLAIN_SETTING, SETTINGS } from './settings';
import type { Setting } from './settings/setting';
import { IS_REPLAY, sizeOf } from './sizes';
import { Tally } from './tally';

/**
 * Seeds that once found a drift. What they met depends on time as well, so each has a test that always meets it:
 * `upsert-retry` and `late-writes`.
 */
const REGRESSIONS = [1_007, 1_011];

const { seeds, operations } = sizeOf({ seeds: 2, operations: 60 }, { seeds: 10, operations: 200 });
const CLIENTS = 8;
const setting = PLAIN_SETTING;
const tally = new Tally();

/** Of each world beside the plain one: none in the short form, unless a world is named. */
const others = sizeOf(
  { seeds: process.env['ORACLE_WORLD'] === undefined ? 0 : 2, operations: 60 },
  { seeds: 3, operations: 200, ciSeeds: 1 },
);

const settings = chosenSettings([PLAIN_SETTING, ...SETTINGS]);
const tallies = new Map(settings.map((one): [Setting, Tally] => [one, one === PLAIN_SETTING ? tally : new Tally()]));
const cases = settings.flatMap((one) =>
  (one === PLAIN_SETTING ? seeds : others.seeds).map((seed): [string, number, string, Setting] => [
    one.name,
    seed,
    versionOf(seed),
    one,
  ]),
);

/** Of one seed, ms; a run rejects at the first drift. */
const LIMIT = 600_000;

describe('I1, I2: when 8 clients have made their random operations, every counter column is the truth', () => {
  test.each(cases)(
    'world %s, seed %i, PostgreSQL 18 taken for %s',
    async (_name, seed, _version, one) => {
      const size = one === PLAIN_SETTING ? operations : others.operations;
      const options = { seed, operations: size, clients: CLIENTS, tally: tallies.get(one) ?? tally, setting: one };
      await expect(runConcurrent(options)).resolves.toBeDefined();
    },
    LIMIT,
  );

  for (const seed of settings.includes(setting) ? REGRESSIONS : [])
    test(
      `seed ${seed}, which once found a drift`,
      async () => {
        await expect(runConcurrent({ seed, operations: 60, clients: CLIENTS, tally, setting })).resolves.toBeDefined();
      },
      LIMIT,
    );

  test('every kind of write occurred', () => {
    expect(IS_REPLAY || !settings.includes(setting) ? [] : tally.missing()).toEqual([]);
  });
});

afterAll(() => {
  for (const [{ name }, one] of tallies) process.stdout.write(`${one.table(`at once, ${name}`)}\n`);
});
