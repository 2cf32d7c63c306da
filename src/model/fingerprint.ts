import { createHash } from 'node:crypto';

import type { EntityMetadata } from 'typeorm';

import type { Counter, CounterColumn, CounterTarget, KeyColumn, Path } from './definition';
import type { Where } from './where/where';

/** Raised when what a fingerprint covers changes, which makes every column look changed. */
const FORMAT = 1;

/**
 * What decides the truth of a column, as a short text: equal for equal definitions, in every process. Functions count by
 * their source text: what they call or close over is not seen. Names, waits, touches and the like change no truth.
 */
export function fingerprintOf(column: CounterColumn): string {
  const counters = column.counters.map((counter) => toJson(truthOf(counter, column))).toSorted();
  const text = toJson([FORMAT, column.targetTable.id, column.scale, counters]);
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}

/** Entities whose rows decide the truth of a column. */
export function sourceEntitiesOf({ counters }: CounterColumn): readonly EntityMetadata[] {
  const between = (counter: Counter): EntityMetadata[] =>
    counter.targets.flatMap(({ path }) => path?.steps ?? []).map(({ metadata }) => metadata);
  return counters.flatMap((counter) => [counter.source, ...between(counter)]);
}

/** Paths of the tables whose rows decide the truth of a column. */
export function sourceTablesOf(column: CounterColumn): readonly string[] {
  return [...new Set(sourceEntitiesOf(column).map(({ tablePath }) => tablePath))].toSorted();
}

function truthOf(counter: Counter, column: CounterColumn): unknown {
  const { source, discriminator, deletedColumn, where, condition, amount, methodText } = counter;
  const targets = counter.targets.filter(({ columns }) => [...columns.values()].includes(column));
  return [
    source.tablePath,
    discriminator,
    deletedColumn,
    conditionOf(where),
    textOf(condition),
    amountOf(amount),
    // A static column is the one that this is about.
    typeof counter.column === 'function' ? [column.property, textOf(counter.column)] : null,
    methodText,
    targets.map((target) => toJson(wayOf(target))).toSorted(),
  ];
}

function wayOf({ foreignKeys, path, type }: CounterTarget): unknown {
  return [path === null ? namesOf(foreignKeys) : alongOf(path), type];
}

function alongOf({ entry, steps }: Path): unknown {
  const rows = steps.map(({ metadata, keys, foreignKeys, deletedColumn, where }) => [
    metadata.tablePath,
    namesOf(keys),
    namesOf(foreignKeys),
    deletedColumn,
    conditionOf(where),
  ]);
  return [namesOf(entry), rows];
}

function amountOf(amount: Counter['amount']): unknown {
  switch (amount.from) {
    case 'constant':
      // 1 and 1n are the same amount.
      return ['constant', String(amount.value)];
    case 'column':
      return ['column', amount.column];
    case 'function':
      return ['function', textOf(amount.fn)];
  }
}

/** The SQL of a condition, with the values that it binds. */
function conditionOf(where: Where | null): unknown {
  if (where === null) return null;
  const bound: unknown[] = [];
  const sql = where.toSql(
    'row',
    (value) => `$${bound.push(value)}`,
    (name) => JSON.stringify(name),
  );
  return [sql, bound];
}

function textOf(fn: ((...args: never[]) => unknown) | null): string | null {
  return fn === null ? null : Function.prototype.toString.call(fn);
}

function namesOf(columns: readonly KeyColumn[]): readonly string[] {
  return columns.map(({ name }) => name);
}

function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part));
}
