import { createHash } from 'node:crypto';

import type { Parts } from './resolve-counter';
import type { ResolveContext } from './endpoint';
import { scaleOf } from './sql-type';

/** Digest of what a declaration means; the wait, batch size and the like are no part of it. */
export function hashOf(parts: Parts, { metadata, parsed, dataSource }: ResolveContext): string {
  const { targets, amount, where, deletedColumn, discriminator } = parts;
  const meaning = {
    source: metadata.tablePath,
    discriminator,
    deletedColumn,
    targets: targets.map(({ metadata: target, keys, foreignKeys, type, columns }) => ({
      table: target.tablePath,
      keys,
      foreignKeys,
      type,
      columns: columns.map((column) => [column.databaseName, scaleOf(column, dataSource.driver)]),
    })),
    column: text(parsed.column),
    condition: text(parsed.condition),
    where: where?.toSql('', (value) => JSON.stringify(value), JSON.stringify) ?? null,
    amount:
      amount.from === 'column'
        ? amount
        : { from: amount.from, value: text(amount.from === 'constant' ? amount.value : amount.fn) },
    method: text(parsed.method),
  };
  return createHash('sha256').update(JSON.stringify(meaning)).digest('hex');
}

// Text, because a function's source is the best there is, and a bigint has no JSON.
function text(value: string | number | bigint | ((...args: never[]) => unknown) | null): string | null {
  return value === null ? null : String(value);
}
