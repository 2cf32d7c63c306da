import type { EntityManager, QueryRunner } from 'typeorm';

import { contributionOf } from '../counter/contribution';
import type { Counter, CounterColumn, CounterTarget, Row, TargetKind } from '../counter/definition';
import { keyValuesOf } from '../counter/target';
import { escapeName, escapePath } from './escape';
import { rowsOf } from './query';
import { rowConditions } from './row-conditions';

/** Rows fetched at a time: memory stays bounded however many sources a target has. */
const FETCH = 2_000;

/** Adds what one counter's sources contribute to the given targets, row by row through the contribution function. */
export async function recountBySources(
  manager: EntityManager,
  counter: Counter,
  kind: TargetKind,
  targets: ReadonlySet<string>,
  add: (target: string, column: CounterColumn, amount: bigint) => void,
): Promise<void> {
  const runner = manager.queryRunner as QueryRunner;
  for (const target of counter.targets.filter((candidate) => candidate.kind === kind)) {
    for await (const row of sourcesOf(runner, counter, target, targets)) {
      const contribution = contributionOf(counter, row);
      if (contribution !== null && targets.has(contribution.target))
        add(contribution.target, contribution.column, contribution.amount);
    }
  }
}

async function* sourcesOf(
  runner: QueryRunner,
  counter: Counter,
  target: CounterTarget,
  targets: ReadonlySet<string>,
): AsyncGenerator<Row> {
  const keys = [...targets].map(keyValuesOf);
  const parameters: unknown[] = target.foreignKeys.map((_, i) => keys.map((key) => key[i]));
  const bind = (value: unknown) => `$${parameters.push(value)}`;
  const names = target.foreignKeys.map((_, i) => `w${i}`);
  const conditions = [
    `(${target.foreignKeys.map(({ name }) => `s.${escapeName(name)}`).join(', ')}) IN (SELECT ${target.foreignKeys.map((key, i) => `w${i}::${key.sqlType}`).join(', ')}
      FROM unnest(${names.map((_, i) => `$${i + 1}::text[]`).join(', ')}) AS w(${names.join(', ')}))`,
    ...rowConditions(counter, target, bind),
  ];
  const columns = counter.needs.map((name) => `s.${escapeName(name)}`).join(', ');
  await runner.query(
    `DECLARE counter_cache_sources NO SCROLL CURSOR FOR SELECT ${columns} FROM ${escapePath(counter.source.tablePath)} s WHERE ${conditions.join(' AND ')}`,
    parameters,
  );
  for (;;) {
    const rows = await rowsOf(runner, `FETCH ${FETCH} FROM counter_cache_sources`);
    yield* rows;
    if (rows.length < FETCH) break;
  }
  await runner.query('CLOSE counter_cache_sources');
}
