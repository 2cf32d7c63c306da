import { describe } from '../describe';
import { AmountError, ConfigurationError, type CounterCacheError } from '../errors';
import { parseDecimal, scaleAmount } from './amount';
import type { Contribution, Counter, CounterColumn, CounterTarget, Row, SourceEntity } from './definition';
import { isKeyText, keyText, targetId } from './target';
import type { Where } from './where/where';

/** Receives a polymorphic type that has neither a target nor an entry in `ignore`. */
export type UnknownTypeListener = (counter: Counter, type: string) => void;

/**
 * What one source row adds through one counter; `null` when it adds nothing. Pure.
 *
 * @throws AmountError when the amount cannot be held exactly, or a function of the declaration throws or picks a column
 * that is not declared
 */
export function contributionOf(counter: Counter, row: Row, onUnknownType?: UnknownTypeListener): Contribution | null {
  if (!isCounted(counter, row)) return null;
  const target = targetOf(counter, row, onUnknownType);
  const id = target === null ? null : idOf(target, row);
  if (target === null || id === null) return null;
  if (!meetsCondition(counter, row)) return null;
  const column = columnOf(counter, target, row);
  if (column === null) return null;
  const amount = amountOf(counter, column, row);
  return amount === 0n ? null : { counter, column, touch: target.touch, target: id, amount };
}

/** What a row may count for, before its functions are asked. */
export interface Reached {
  readonly target: string;
  /** One, unless `column` is dynamic. */
  readonly columns: readonly CounterColumn[];
}

/**
 * The target that a source row counts for through one counter, if it counts at all; `null` when it cannot. Calls no function
 * of the declaration, so that it is known for a row on which one throws. Pure.
 */
export function reachedBy(counter: Counter, row: Row): Reached | null {
  if (!isSource(counter, row)) return null;
  const target = targetOf(counter, row, undefined);
  const id = target === null ? null : idOf(target, row);
  return target === null || id === null ? null : { target: id, columns: [...target.columns.values()] };
}

/**
 * How long a delta of this row may wait, in ms. What goes wrong here must not reject the write: `onError` receives it, and
 * the fallback is used.
 */
export function waitOf(
  counter: Counter,
  row: Row,
  fallback: number,
  onError: (error: CounterCacheError) => void,
): number {
  const { wait, label } = counter;
  if (typeof wait !== 'function') return wait ?? fallback;
  try {
    const ms = call(counter, 'wait', wait, row);
    if (typeof ms === 'number' && Number.isFinite(ms) && ms >= 0) return Math.ceil(ms);
    onError(
      new ConfigurationError([
        `${label}: expected 'wait' to return milliseconds, 0 or more, got: ${describe(ms)}. Using ${fallback} ms`,
      ]),
    );
  } catch (error) {
    onError(error as CounterCacheError);
  }
  return fallback;
}

function isCounted(counter: Counter, row: Row): boolean {
  return isSource(counter, row) && (counter.where === null || meetsWhere(counter, counter.where, row));
}

function isSource({ discriminator, deletedColumn }: Counter, row: Row): boolean {
  if (discriminator !== null && !discriminator.values.includes(keyText(row[discriminator.column]) ?? '')) return false;
  return deletedColumn === null || isNull(row[deletedColumn]);
}

function meetsWhere(counter: Counter, where: Where, row: Row): boolean {
  try {
    return where.test(row);
  } catch (error) {
    throw rejected(counter, `expected 'where' to fit the row, got an exception: ${messageOf(error)}`, error);
  }
}

function isNull(value: unknown): boolean {
  return value === null || value === undefined;
}

function targetOf(counter: Counter, row: Row, onUnknownType: UnknownTypeListener | undefined): CounterTarget | null {
  if (counter.typeColumn === null) return counter.targets[0] ?? null;
  const type = keyText(row[counter.typeColumn]);
  if (type === null) return null;
  const target = counter.targets.find((candidate) => candidate.type?.value === type);
  if (target === undefined && !counter.ignoredTypes.has(type)) onUnknownType?.(counter, type);
  return target ?? null;
}

function idOf({ targetTable, foreignKeys, path, type }: CounterTarget, row: Row): string | null {
  const values = foreignKeys.map(({ name, sqlType }) => keyText(row[name], sqlType));
  // No foreign key of the database vouches for a polymorphic id.
  if (
    type !== null &&
    path === null &&
    !values.every((value, index) => isKeyText(value ?? '', targetTable.keys[index]?.sqlType ?? ''))
  )
    return null;
  return targetId(targetTable.id, values);
}

function meetsCondition(counter: Counter, row: Row): boolean {
  if (counter.condition === null) return true;
  const result = call(counter, 'if', counter.condition, row);
  if (!(result instanceof Promise)) return Boolean(result);
  throw rejected(counter, `expected 'if' to return a boolean, got: a Promise. Make it synchronous`);
}

function columnOf(counter: Counter, target: CounterTarget, row: Row): CounterColumn | null {
  const property = typeof counter.column === 'string' ? counter.column : call(counter, 'column', counter.column, row);
  if (isNull(property)) return null;
  const column = typeof property === 'string' ? target.columns.get(property) : undefined;
  if (column !== undefined) return column;
  throw rejected(
    counter,
    `expected 'column' to return null or one of ${[...target.columns.keys()].join(', ')}, got: ${describe(property)}. List it in 'columns'`,
  );
}

function amountOf(counter: Counter, column: CounterColumn, row: Row): bigint {
  const { amount, label } = counter;
  switch (amount.from) {
    case 'constant':
      return scaleAmount(amount.value, column.scale, { label, from: 'incrementBy' });
    case 'column': {
      const value = row[amount.column];
      return isNull(value) ? 0n : parseDecimal(value, column.scale, { label, from: `column "${amount.column}"` });
    }
    case 'function':
      return scaleAmount(call(counter, 'incrementBy', amount.fn, row), column.scale, { label, from: 'incrementBy' });
  }
}

function call(counter: Counter, option: string, fn: (source: SourceEntity) => unknown, row: Row): unknown {
  try {
    return fn(counter.hydrate(row));
  } catch (error) {
    throw rejected(
      counter,
      `expected '${option}' to return, got an exception: ${messageOf(error)}. Functions of a counter see own columns only, and must not throw`,
      error,
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : describe(error);
}

function rejected({ label, name }: Counter, message: string, cause?: unknown): AmountError {
  return new AmountError(`${label}: ${message}`, { label, counter: name }, { cause });
}
