import type { Row } from '../model/definition';
import type { TablePlan } from './plan';
import { textOf } from '../typeorm/row-text';
import type { ExpressionMap } from '../typeorm/write-builder';

/** The system column that holds the id of the transaction, or savepoint, which wrote a version of a row. */
const WRITER = 'xmin';

/** A plan that also reads which transaction wrote each version of a row, where the table and the statement allow it. */
export function versioned(plan: TablePlan, queryType: ExpressionMap['queryType'] | 'select'): TablePlan {
  const { systemColumns } = plan;
  if (systemColumns === 'never' || (systemColumns === 'but for inserts' && queryType === 'insert')) return plan;
  return plan.texts.includes(WRITER) ? plan : { ...plan, texts: [...plan.texts, WRITER] };
}

/**
 * Whether a version of a row was likely written by this transaction: by one that has begun no sooner. Nothing shows
 * which part of it, and the ids of its savepoints, and of others that began later, are higher than its own.
 */
export function isMadeSince(transactionId: string, row: Row): boolean {
  const writer = textOf(row, WRITER);
  if (writer === null) return false;
  // Versions hold the lower 32 bits of an id, which begin again.
  return ((Number(writer) - Number(BigInt.asUintN(32, BigInt(transactionId)))) | 0) >= 0;
}
