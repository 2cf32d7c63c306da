import type { EntityManager, QueryRunner } from 'typeorm';

import { contributionOf, reachedBy } from '../../../model/contribution';
import type { Counter, CounterTarget, Row, TargetTable } from '../../../model/definition';
import { escapeName } from '../escape';
import { amongKeys, keyArrays } from '../keys';
import { rowsOf } from '../query';
import { ownConditions, sourceRows } from './source-rows';
import type { Tally } from './tally';

/** Rows fetched at a time: memory stays bounded however many sources a target has. */
const FETCH = 2_000;

/** Aliases of the target's key, where a path leads to it. */
const KEY = 'cc_key';

/**
 * Adds what one counter's sources contribute to the given targets, row by row through the contribution function. A row that
 * cannot be counted fails its target only.
 */
export async function recountBySources(
  manager: EntityManager,
  counter: Counter,
  targetTable: TargetTable,
  targets: ReadonlySet<string>,
  tally: Tally,
): Promise<void> {
  const runner = manager.queryRunner as QueryRunner;
  for (const target of counter.targets.filter((candidate) => candidate.targetTable === targetTable)) {
    for await (const rows of sourcesOf(runner, counter, target, targets)) {
      for (const row of rows) countRow(counter, row, targets, tally);
    }
  }
}

function countRow(counter: Counter, row: Row, targets: ReadonlySet<string>, tally: Tally): void {
  try {
    const contribution = contributionOf(counter, row);
    if (contribution !== null && targets.has(contribution.target))
      tally.add(contribution.target, contribution.column, contribution.amount);
  } catch (error) {
    const reached = reachedBy(counter, row);
    if (reached !== null && targets.has(reached.target)) tally.fail(reached.target, reached.columns, error);
  }
}

async function* sourcesOf(
  runner: QueryRunner,
  counter: Counter,
  target: CounterTarget,
  targets: ReadonlySet<string>,
): AsyncGenerator<readonly Row[]> {
  const { foreignKeys, path } = target;
  const parameters: unknown[] = keyArrays(target.targetTable, [...targets]);
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const rows = sourceRows(counter, target, bind);
  const wanted = amongKeys(
    rows.keys,
    foreignKeys.map(({ sqlType }) => sqlType),
  );
  const columns = [
    ...counter.needs.map((name) => `s.${escapeName(name)}`),
    ...(path === null ? [] : rows.keys.map((key, i) => `${key} AS ${KEY}${i}`)),
  ];
  // All rows are wanted: the planner would take a tenth for granted, and a plan that begins early.
  await runner.query('SET LOCAL cursor_tuple_fraction = 1');
  await runner.query(
    `DECLARE counter_cache_sources NO SCROLL CURSOR FOR SELECT ${columns.join(', ')} FROM ${rows.from} WHERE ${[wanted, ...rows.conditions, ...ownConditions(counter, bind)].join(' AND ')}`,
    parameters,
  );
  yield* fetchAll(runner, (row) => (path === null ? row : withTargetKey(row, target)));
  await runner.query('CLOSE counter_cache_sources');
}

/** The database reads on while the rows fetched before are looked at. */
async function* fetchAll(runner: QueryRunner, map: (row: Row) => Row): AsyncGenerator<readonly Row[]> {
  const fetch = () => rowsOf(runner, `FETCH ${FETCH} FROM counter_cache_sources`);
  let fetching: ReturnType<typeof fetch> | null = fetch();
  try {
    while (fetching !== null) {
      const fetched: readonly Row[] = await fetching;
      fetching = fetched.length < FETCH ? null : fetch();
      yield fetched.map(map);
    }
  } finally {
    // The reader has thrown: the connection is used again, and nothing else waits for these rows.
    await fetching?.catch(() => undefined);
  }
}

/** Puts the target's key where `contributionOf` looks for what a path leads to. */
function withTargetKey(row: Row, { foreignKeys }: CounterTarget): Row {
  return { ...row, ...Object.fromEntries(foreignKeys.map(({ name }, i) => [name, row[`${KEY}${i}`]])) };
}
