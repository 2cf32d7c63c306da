import type { EntityManager, ObjectLiteral } from 'typeorm';

import { parseDecimal } from '../../../model/amount';
import type { Counter, CounterColumn, TargetTable } from '../../../model/definition';
import { describe } from '../../../describe';
import { keyValuesOf } from '../../../model/target';
import { AmountError } from '../../../errors';
import { reasonOf } from '../apply/divide';
import { escapeForBuilder } from '../escape';
import { columnsOf, Draft, type Tally } from './tally';

/** A `method`, or what loads its target, failed outside a savepoint: the transaction may be aborted. */
export class MethodError extends Error {
  constructor(cause: unknown) {
    super('a recount method failed', { cause });
  }
}

/**
 * Adds what a counter's `method` counts for each target; the method runs inside the recount's snapshot. With a `savepoint`
 * it may fail for one target, and for no other.
 *
 * @throws MethodError when it fails without a savepoint
 */
export async function recountByMethod(
  manager: EntityManager,
  counter: Counter,
  targetTable: TargetTable,
  targets: ReadonlySet<string>,
  tally: Tally,
  savepoint: ((work: () => Promise<void>) => Promise<void>) | null = null,
): Promise<void> {
  const columns = columnsOf(counter, targetTable);
  for (const target of targets) {
    const draft = new Draft();
    const count = () => countOne(manager, counter, columns, target, draft);
    try {
      await (savepoint === null ? count() : savepoint(count));
      draft.passTo(tally);
    } catch (error) {
      if (error instanceof AmountError) tally.fail(target, columns, error);
      else if (savepoint === null) throw new MethodError(error);
      else tally.fail(target, columns, failed(counter, error));
    }
  }
}

async function countOne(
  manager: EntityManager,
  counter: Counter,
  columns: readonly CounterColumn[],
  target: string,
  tally: Tally,
): Promise<void> {
  const [column] = columns;
  if (counter.method === null || column === undefined) return;
  const entity = await loadTarget(manager, column.targetTable, target);
  if (entity === null) return;
  const counted = await counter.method(entity, manager);
  for (const one of columns) tally.add(target, one, amountOf(counted, counter, one, target));
}

function failed({ label, name }: Counter, cause: unknown): AmountError {
  const message = `${label}: expected its recount method to return, got an exception: ${reasonOf(cause)}`;
  return new AmountError(message, { label, counter: name }, { cause });
}

function loadTarget(manager: EntityManager, targetTable: TargetTable, target: string): Promise<ObjectLiteral | null> {
  // By the stored key: conditions on properties would pass through transformers.
  const query = manager.createQueryBuilder<ObjectLiteral>(targetTable.metadata.target as never, 't').withDeleted();
  for (const [i, value] of keyValuesOf(target).entries()) {
    const { name = '', sqlType = 'text' } = targetTable.keys[i] ?? {};
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
