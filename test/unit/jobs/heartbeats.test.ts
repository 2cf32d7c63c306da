import { defineCounterCache } from '../../../src/declare/decorator';
import { evaluate, ownDefinitions, type Evaluation, type OwnDefinitions } from '../../../src/worker/heartbeats';
import type { Heartbeats } from '../../../src/dialects/postgres/installation/definitions';
import { blog, definitionsOf } from '../counter/blog';

const INTERVAL = 1_000;
const SILENCE = 4 * INTERVAL;
const HOUR = 3_600_000;
const COLUMN = 'user:postsCount';

/** One installation, and processes with different declarations that look at it by turns. */
class Installation {
  now = 1_000_000;
  #columns: ReadonlyMap<string, Heartbeats> = new Map();
  #isNew = true;

  evaluate(own: OwnDefinitions): Evaluation {
    const found = evaluate({ columns: this.#columns, now: this.now }, own, { interval: INTERVAL, isNew: this.#isNew });
    this.#columns = new Map([...this.#columns, ...found.changed]);
    for (const [id, fingerprint] of found.seen) this.#see(id, fingerprint);
    this.#isNew = false;
    return found;
  }

  #see(id: string, fingerprint: string): void {
    const sightings = this.#columns.get(id) ?? {};
    const sighting = sightings[fingerprint];
    if (sighting === undefined) throw new Error(`${fingerprint} of ${id} is not known`);
    this.#columns = new Map([...this.#columns, [id, { ...sightings, [fingerprint]: { ...sighting, seen: this.now } }]]);
  }

  /** Every living process looks once per interval; tells how often each asked for a recount. */
  live(duration: number, living: readonly OwnDefinitions[]): number[] {
    const asked = living.map(() => 0);
    for (const end = this.now + duration; this.now < end; this.now += INTERVAL) {
      for (const [i, own] of living.entries()) asked[i] = (asked[i] ?? 0) + this.evaluate(own).tableIds.length;
    }
    return asked;
  }
}

async function declaring(
  counter: object | null,
  tables: readonly string[] = ['post', 'user'],
): Promise<OwnDefinitions> {
  const { Post, entities } = blog();
  if (counter !== null) defineCounterCache(Post, { relation: 'author', column: 'postsCount', ...counter } as never);
  return ownDefinitions(await definitionsOf(entities), tables);
}

let one: OwnDefinitions;
let two: OwnDefinitions;
let none: OwnDefinitions;
let installation: Installation;

beforeAll(async () => {
  one = await declaring({});
  two = await declaring({ where: { title: 'a' } });
  none = await declaring(null);
});
beforeEach(() => {
  installation = new Installation();
  installation.evaluate(one);
});

test('a new installation asks for nothing, however long it lives', () => {
  expect(installation.live(HOUR, [one, one])).toEqual([0, 0]);
});

test('one that stood still asks for nothing', () => {
  installation.now += HOUR;
  expect(installation.evaluate(one).tableIds).toEqual([]);
});

test('a changed definition is asked for once, by the first that sees the others gone', () => {
  installation.now += SILENCE;
  expect(installation.evaluate(two).tableIds).toEqual(['user:id']);
  expect(installation.live(HOUR, [two, two])).toEqual([0, 0]);
});

test('nothing is asked for while both live; once the old one is gone, one recount is', () => {
  expect(installation.live(HOUR, [one, two])).toEqual([0, 0]);
  expect(installation.live(HOUR, [two, two]).reduce((a, b) => a + b)).toBe(1);
});

test('one that comes again, and goes, has been counting otherwise: one recount', () => {
  installation.now += SILENCE;
  installation.evaluate(two);
  for (let i = 0; i < 10; i++) {
    expect(installation.evaluate(one).tableIds).toEqual([]);
    expect(installation.live(SILENCE - INTERVAL, [two])).toEqual([0]);
  }
  expect(installation.live(HOUR, [two])).toEqual([1]);
});

test('a definition that is taken back is asked for again', () => {
  installation.live(HOUR, [two]);
  expect(installation.live(HOUR, [one])).toEqual([1]);
});

test('one that was tried beside the old one is corrected once it is gone', () => {
  expect(installation.live(HOUR, [one, two])).toEqual([0, 0]);
  expect(installation.live(HOUR, [one])).toEqual([1]);
});

test('a new counter waits for writers that do not know it, and say so', () => {
  installation = new Installation();
  installation.evaluate(none);
  expect(installation.live(HOUR, [one, none])).toEqual([0, 0]);
  expect(installation.live(HOUR, [one])).toEqual([1]);
});

test('a new counter waits for writers to say so, even if none does', () => {
  installation = new Installation();
  installation.evaluate(none);
  expect(installation.evaluate(one).tableIds).toEqual([]);
  expect(installation.live(HOUR, [one])).toEqual([1]);
});

test('a counter that was left out for a time is recounted when it is back', () => {
  installation.live(HOUR, [none]);
  expect(installation.live(HOUR, [one])).toEqual([1]);
});

test('a process that has none of its tables is none of its business', async () => {
  const elsewhere = await declaring(null, ['user']);
  expect(installation.live(HOUR, [one, elsewhere])).toEqual([0, 0]);
  expect(installation.live(HOUR, [one])).toEqual([0]);
});

test('a process that shows itself less often is waited for longer', () => {
  const rare = 10 * INTERVAL;
  const seen = { first: 0, seen: installation.now, interval: rare, counted: null, sources: ['post'] };
  const at = (now: number): Evaluation =>
    evaluate({ columns: new Map([[COLUMN, { other: seen }]]), now }, one, { interval: INTERVAL, isNew: false });
  expect(at(installation.now + 4 * rare - 1).tableIds).toEqual([]);
  expect(at(installation.now + 4 * rare).tableIds).toEqual(['user:id']);
});

test('waiting for long is told, of what was never counted only', () => {
  installation.live(HOUR, [one, two]);
  installation.now += INTERVAL;
  expect(installation.evaluate(one).waiting).toEqual([]);
  expect(installation.evaluate(two).waiting).toMatchObject([{ property: 'postsCount' }]);
});

test('what is written down does not grow without end', async () => {
  let written: Heartbeats = {};
  for (let i = 0; i < 40; i++) {
    installation.now += 2 * INTERVAL;
    const { changed } = installation.evaluate(await declaring({ incrementBy: i + 2 }));
    written = changed.get(COLUMN) ?? {};
  }
  expect(Object.keys(written)).toHaveLength(16);
});
