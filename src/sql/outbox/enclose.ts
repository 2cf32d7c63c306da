import type { SqlQuery } from '../query';
import type { TablePaths } from '../tables';
import { arrayLiteral, insertInto, type OutboxDelta } from './write-outbox';

/** Name of the column of RETURNING that holds the server's time. */
export const TIME = '__cc_t';

const INSERT = 'INSERT INTO ';

/** Whether {@link encloseRows} can take this statement: an INSERT of new rows, with nothing in front, that returns columns. */
export function canEnclose([sql]: Readonly<SqlQuery>): boolean {
  return sql.startsWith(INSERT) && sql.includes(' RETURNING ') && !sql.includes(' ON CONFLICT ');
}

/**
 * Has an INSERT write rows to the outbox as well, in the same statement: they are there if and only if what it inserts is.
 * It returns the server's time too, from which the rows' waits are counted. Their due times are not rounded up to a window:
 * their alarm is (docs/adr/0018-prepared-inserts.md).
 */
export function encloseRows(query: SqlQuery, { outbox }: TablePaths, rows: readonly OutboxDelta[]): void {
  const [sql, parameters] = query;
  const given = (value: unknown): string => `$${parameters.push(value)}`;
  const values = rows.map(({ shard, target, column, amount, touches, wait, recalculateIn }) =>
    [
      given(shard),
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
