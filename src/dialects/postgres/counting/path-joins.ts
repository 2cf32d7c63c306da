import type { KeyColumn, PathStep } from '../../../model/definition';
import { escapeName } from '../escape';
import { tableSql } from '../table-names';

type Bind = (value: unknown) => string;

/** An expression that refers to a row. */
interface Side {
  readonly sql: string;
  readonly sqlType: string;
}

/** Alias of one row of a path. */
function stepAlias(index: number): string {
  return `p${index}`;
}

/**
 * Joins the rows of a path as far as they lead. `entry` are the expressions that refer to the first row; with `JOIN`,
 * what leads nowhere is left out.
 */
export function pathJoins(
  kind: 'JOIN' | 'LEFT JOIN',
  steps: readonly PathStep[],
  entry: readonly Side[],
  bind: Bind,
): string {
  const joins = steps.map((step, i) => {
    const left = leftOf(steps, entry, i);
    const matches = step.keys.map((key, at) => equals(left[at], { ...key, sql: columnSql(i, key) }));
    return `${kind} ${tableSql(step.metadata)} ${stepAlias(i)} ON ${[...matches, ...conditionsOf(step, i, bind)].join(' AND ')}`;
  });
  return joins.join(' ');
}

/** What refers to a row of a path: the entry, or columns of the row before. */
function leftOf(steps: readonly PathStep[], entry: readonly Side[], index: number): readonly Side[] {
  const before = steps[index - 1];
  return before === undefined ? entry : before.foreignKeys.map((key) => ({ ...key, sql: columnSql(index - 1, key) }));
}

/** Whether something refers to a row of a path that is not found at all, with or without its conditions; beside {@link pathJoins}. */
export function unfoundSql(steps: readonly PathStep[], entry: readonly Side[], index: number): string {
  const step = steps[index];
  if (step === undefined) return 'false';
  const left = leftOf(steps, entry, index);
  const given = left.map(({ sql }) => `${sql} IS NOT NULL`);
  const matches = step.keys.map((key, at) => equals(left[at], { ...key, sql: `x.${escapeName(key.name)}` }));
  const found = `SELECT FROM ${tableSql(step.metadata)} x WHERE ${matches.join(' AND ')}`;
  return `(${[...given, `NOT EXISTS (${found})`].join(' AND ')})`;
}

/** The columns of a path's last row that refer to the target. */
export function targetKeySql(steps: readonly PathStep[]): string[] {
  return (steps.at(-1)?.foreignKeys ?? []).map((key) => columnSql(steps.length - 1, key));
}

function columnSql(step: number, { name }: KeyColumn): string {
  return `${stepAlias(step)}.${escapeName(name)}`;
}

/** An id kept as text is compared as text: it may be no key at all. */
function equals(left: Side | undefined, right: Side): string {
  const isText = left?.sqlType === 'text' || left?.sqlType === 'character varying' || left?.sqlType === 'bpchar';
  return `${right.sql}${isText && left.sqlType !== right.sqlType ? '::text' : ''} = ${left?.sql}`;
}

function conditionsOf({ deletedColumn, where }: PathStep, index: number, bind: Bind): string[] {
  const alias = stepAlias(index);
  return [
    ...(deletedColumn === null ? [] : [`${alias}.${escapeName(deletedColumn)} IS NULL`]),
    ...(where === null ? [] : [`(${where.toSql(alias, bind, escapeName)})`]),
  ];
}
