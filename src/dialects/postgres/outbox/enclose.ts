import type { SqlQuery } from '../query';
import type { TablePaths } from '../installation/tables';
import { arrayLiteral, insertInto, type OutboxDelta } from './write-outbox';

/** Name of the column of RETURNING that holds the server's time. */
export const TIME = '__cc_t';

const INSERT = 'INSERT INTO ';

/** PostgreSQL: not_null_violation. */
const IS_NULL = '23502';

/** The column that is NULL, and may not be, where a statement would go elsewhere: nothing costs less to refuse it. */
function guarded(shard: string, condition: string): string {
  return `CASE WHEN ${condition} THEN ${shard}::integer END`;
}

/** Whether a statement with enclosed rows failed because its condition was not true. */
export function isElsewhere(error: unknown): boolean {
  const { code, table, column } = (error ?? {}) as Readonly<Record<'code' | 'table' | 'column', unknown>>;
  return code === IS_NULL && column === 'shard' && String(table).endsWith('counter_cache_outbox');
}

/** Whether {@link encloseRows} can take this statement: an INSERT of new rows, with nothing in front, that returns columns. */
export function canEnclose([sql]: Readonly<SqlQuery>): boolean {
  return sql.startsWith(INSERT) && sql.includes(' RETURNING ') && !sql.includes(' ON CONFLICT ');
}

/**
 * Has an INSERT write rows to the outbox as well, in the same statement: they are there if and only if what it inserts is.
 * It returns the server's time too, from which the rows' waits are counted. Their due times are not rounded up to a window:
 * their wake-up is (docs/adr/0018-prepared-inserts.md). With a `condition`, the statement fails, and does nothing, where that
 * is not true: {@link isElsewhere} recognises it.
 */
export function encloseRows(
  query: SqlQuery,
  { outbox }: TablePaths,
  rows: readonly OutboxDelta[],
  condition: string | null,
): void {
  const [sql, parameters] = query;
  const given = (value: unknown): string => `$${parameters.push(value)}`;
  const values = rows.map(({ shard, target, column, amount, touches, wait, recalculateIn }, i) =>
    [
      i === 0 && condition !== null ? guarded(given(shard), condition) : given(shard),
      given(target),
      given(column),
      given(amount.toString()),
      given(arrayLiteral(touches)),
      'statement_timestamp()',
      `statement_timestamp() + ${given(wait)} * interval '1 millisecond'`,
      given(recalculateIn),
      'false',
    ].join(', '),
  );
  query[0] = `WITH "__cc_outbox" AS (${insertInto(outbox)} VALUES (${values.join('), (')})) ${sql}, statement_timestamp() AS "${TIME}"`;
}
