import type { QueryRunner } from 'typeorm';

import type { Row } from '../../model/definition';
import { escapeName } from '../../dialects/postgres/escape';
import { amongKeys } from '../../dialects/postgres/keys';
import { type ActionEdge, type ActionNode, reactionOf, type RowEvent, withDerived } from './actions-plan';
import { lockByKey } from '../locked-rows';
import type { TablePlan } from '../plan';
import { lockRows, type RowChange } from '../returning';
import { keyOf, textOf } from '../../typeorm/row-text';
import type { Sight } from './spreading-reach';
import type { TableChanges } from '../statement';

/** A row that an action reaches, as it was. */
interface Reached {
  readonly row: Row;
  isGone: boolean;
  /** Columns that change. */
  readonly changed: Set<string>;
}

/** Rows of one mapped table that actions reach. */
export interface ReachedRows {
  readonly plan: TablePlan;
  readonly rows: readonly Row[];
}

/**
 * The rows that the database's own actions reach from some rows, locked and read, table by table. A row that comes to refer
 * to them meanwhile waits for the lock of its foreign-key check.
 */
export class Spread {
  readonly #runner: QueryRunner;
  readonly #sight: Sight | null;
  readonly #follows: (edge: ActionEdge) => boolean;
  readonly #tables = new Map<string, { readonly node: ActionNode; readonly reached: Map<string, Reached> }>();
  #isUncertain = false;

  /** `sight` receives what is looked at; `null` where all that there is can be seen. `follows` leaves foreign keys out. */
  constructor(runner: QueryRunner, sight: Sight | null, follows: (edge: ActionEdge) => boolean = () => true) {
    this.#runner = runner;
    this.#sight = sight;
    this.#follows = follows;
  }

  /** What becomes of some reached row is not certain, or not known before: they have to be read again. */
  get isUncertain(): boolean {
    return this.#isUncertain;
  }

  /** Goes on from rows of a node. Those that go themselves are captured by the statement, and only end cycles here. */
  async from(node: ActionNode, rows: readonly Row[], event: RowEvent): Promise<this> {
    const doomed = event === 'gone' ? new Set(rows.map((row) => nameOf(node, row))) : new Set<string>();
    await this.#spread(node, rows, event, doomed);
    return this;
  }

  async #spread(node: ActionNode, rows: readonly Row[], event: RowEvent, doomed: ReadonlySet<string>): Promise<void> {
    if (rows.length === 0) return;
    for (const edge of node.edges) {
      const reaction = this.#follows(edge) ? reactionOf(edge, event) : null;
      if (reaction === null || this.#sight?.spreads({ above: node, edge, event }) === false) continue;
      const { child } = edge;
      const further = withDerived(child, reaction);
      const met = await referencing(this.#runner, edge, rows);
      const reached = met.filter((row) => !doomed.has(nameOf(child, row)) && this.#reach(child, row, further));
      if (reached.length > 0 && (child.isUncertain || !isPredictable(edge, event))) this.#isUncertain = true;
      await this.#spread(child, reached, further, doomed);
    }
  }

  /** Whether this has not been seen to happen to the row before. */
  #reach(node: ActionNode, row: Row, event: RowEvent): boolean {
    const table = this.#tables.get(node.id) ?? { node, reached: new Map<string, Reached>() };
    this.#tables.set(node.id, table);
    const name = nameOf(node, row);
    const known = table.reached.get(name) ?? { row, isGone: false, changed: new Set() };
    table.reached.set(name, known);
    if (known.isGone) return false;
    if (event === 'gone') return (known.isGone = true);
    const isNew = [...event].some((column) => !known.changed.has(column));
    for (const column of event) known.changed.add(column);
    return isNew;
  }

  /** The rows of mapped tables, as they were. */
  rows(): ReadonlyMap<string, ReachedRows> {
    return new Map(
      this.#mapped().map(([id, { plan, reached }]) => [id, { plan, rows: reached.map(({ row }) => row) }]),
    );
  }

  /** What becomes of the rows of mapped tables, where {@link isUncertain} says that this is known before. */
  predicted(): TableChanges[] {
    return this.#mapped().map(([, { plan, reached }]) => ({
      plan,
      changes: reached.map(({ row, isGone, changed }) => ({
        before: row,
        after: isGone ? null : nulled(row, changed),
      })),
    }));
  }

  #mapped(): [id: string, { readonly plan: TablePlan; readonly reached: readonly Reached[] }][] {
    return [...this.#tables].flatMap(([id, { node, reached }]) =>
      node.plan === null ? [] : [[id, { plan: node.plan, reached: [...reached.values()] }]],
    );
  }
}

/** Reads reached rows again, by their primary keys. */
export async function becameOf(runner: QueryRunner, reached: Iterable<ReachedRows>): Promise<TableChanges[]> {
  const tables: TableChanges[] = [];
  for (const { plan, rows } of reached) {
    const after = await readAgain(runner, { plan, rows });
    const changes = rows.map((row): RowChange => ({
      before: row,
      after: after.get(keyOf(plan.primaryKey, row)) ?? null,
    }));
    tables.push({ plan, changes });
  }
  return tables;
}

/** Reached rows as they are now, by primary key. */
export async function readAgain(runner: QueryRunner, { plan, rows }: ReachedRows): Promise<ReadonlyMap<string, Row>> {
  if (rows.length === 0) return new Map();
  const found = await lockByKey(runner, plan, plan.primaryKey, rows);
  return new Map(found.map((row) => [keyOf(plan.primaryKey, row), row]));
}

/** The rows that refer to these by one foreign key, locked. */
async function referencing(runner: QueryRunner, edge: ActionEdge, rows: readonly Row[]): Promise<readonly Row[]> {
  const { child, foreignKeys, referenced } = edge;
  const arrays = referenced.map((name) => rows.map((row) => textOf(row, name)));
  const wanted = amongKeys(
    foreignKeys.map(({ name }) => escapeName(name)),
    foreignKeys.map(({ sqlType }) => sqlType),
  );
  return lockRows(runner, child.reads, `FROM ${child.sql} WHERE ${wanted}`, arrays);
}

/** Whether what an action does to a row is known before. */
function isPredictable({ onDelete, onUpdate }: ActionEdge, event: RowEvent): boolean {
  return event === 'gone' ? onDelete === 'CASCADE' || onDelete === 'SET NULL' : onUpdate === 'CASCADE';
}

/** Rows that no entity maps are told apart by what is read of them: alike, they lead on alike. */
function nameOf({ id, plan, reads }: ActionNode, row: Row): string {
  return `${id} ${keyOf(plan?.primaryKey ?? reads.columns, row)}`;
}

function nulled(row: Row, columns: ReadonlySet<string>): Row {
  return { ...row, ...Object.fromEntries([...columns].map((name) => [name, null])) };
}
