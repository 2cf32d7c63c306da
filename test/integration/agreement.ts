import type { Fixture } from '../support/setup';

/** One target row of a truth query: what its columns hold, and what SQL counts on its own. */
interface TruthRow {
  readonly id: unknown;
  readonly got: readonly (string | null)[];
  readonly right: readonly (string | null)[];
}

/** A statement that returns `id`, `got` and `right` (both text arrays) per target row. */
export type TruthSql = string;

/**
 * Applies what is pending, and expects every column to be what `truth` says: by live maintenance, and then by a recount,
 * which must find nothing to correct.
 */
export async function expectAgreement({ dataSource, counters }: Fixture, ...truths: TruthSql[]): Promise<void> {
  await counters.flush();
  for (const truth of truths) await expectTruth(dataSource, truth);
  expect(await counters.verify()).toMatchObject({ fixedCount: 0, fixed: [], unsettled: [] });
  expect(await counters.recalculate()).toMatchObject({ fixedCount: 0, fixed: [], unsettled: [] });
  for (const truth of truths) await expectTruth(dataSource, truth);
  expect(await counters.status()).toMatchObject({ dirty: 0, batches: 0, intents: 0, failed: [] });
}

async function expectTruth(dataSource: Fixture['dataSource'], truth: TruthSql): Promise<void> {
  const rows: TruthRow[] = await dataSource.query(truth);
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.map(({ id, got }) => [id, ...got])).toEqual(rows.map(({ id, right }) => [id, ...right]));
}

/**
 * Expects a recount to agree with the spoiled truth as well: sets every counter column of a table to a wrong value
 * behind the library's back, and expects `recalculate()` to bring back what `truth` says.
 */
export async function expectRecount(fixture: Fixture, spoil: string, truth: TruthSql): Promise<void> {
  await fixture.dataSource.query(spoil);
  expect((await fixture.counters.recalculate()).fixedCount).toBeGreaterThan(0);
  await expectAgreement(fixture, truth);
}

/** The same sequence of numbers from 0 to 1 in every run. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
