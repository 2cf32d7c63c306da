import type { EntityManager, ObjectLiteral } from 'typeorm';

import { parseDecimal } from '../counter/amount';
import type { Counter, CounterColumn, TargetKind } from '../counter/definition';
import { describe } from '../describe';
import { keyValuesOf } from '../counter/target';
import { AmountError } from '../errors';
import { escapeForBuilder } from './escape';

/** Adds what a counter's `method` counts for each target; the method runs inside the recount's snapshot. */
export async function recountByMethod(
  manager: EntityManager,
  counter: Counter,
  kind: TargetKind,
  targets: ReadonlySet<string>,
  add: (target: string, column: CounterColumn, amount: bigint) => void,
): Promise<void> {
  const { method } = counter;
  const columns = counter.targets
    .filter((target) => target.kind === kind)
    .flatMap((target) => [...target.columns.values()]);
  if (method === null) return;
  for (const target of targets) {
    const entity = await loadTarget(manager, kind, target);
    if (entity === null) continue;
    const counted = await method(entity, manager);
    for (const column of columns) add(target, column, amountOf(counted, counter, column, target));
  }
}

function loadTarget(manager: EntityManager, kind: TargetKind, target: string): Promise<ObjectLiteral | null> {
  // By the stored key: conditions on properties would pass through transformers.
  const query = manager.createQueryBuilder<ObjectLiteral>(kind.metadata.target as never, 't').withDeleted();
  for (const [i, value] of keyValuesOf(target).entries()) {
    const { name = '', sqlType = 'text' } = kind.keys[i] ?? {};
    query.andWhere(`t.${escapeForBuilder(name)} = CAST(:cc_key${i} AS ${sqlType})`, { [`cc_key${i}`]: value });
  }
  return query.getOne();
}

function amountOf(counted: unknown, { label, name }: Counter, column: CounterColumn, target: string): bigint {
  if (typeof counted !== 'number' && typeof counted !== 'bigint' && typeof counted !== 'string') {
    throw new AmountError(
      `${label}: expected its recount method to return a number, got: ${describe(counted)} (target ${target}). Return a number, a bigint, or decimal text`,
      { label, counter: name, target },
    );
  }
  return parseDecimal(counted, column.scale, { label, from: 'its recount method' });
}
