import type { DataSource } from 'typeorm';

import type { Counter, CounterTarget, Definitions, KeyColumn, PathStep, TargetTable } from '../../../model/definition';
import type { KnownCatalogue } from '../catalogue/known-catalogue';
import { isInsufficientPrivilege } from '../privilege-error';
import { NotPermittedError } from '../../../errors';
import { type OwnTables, ownTables } from '../installation/tables';
import type { Catalogue, CatalogueColumn, CatalogueTable } from '../catalogue/catalogue';
import { bypassSql, grantAllSql, policySql, usageSql } from '../catalogue/grants';

const OPENING = 'opening the installation';

/**
 * Refuses work for which the role of this process lacks privileges, or for which it is not certain to see every row (I9).
 * Each method throws a NotPermittedError with all that is missing, or what the database throws.
 */
export class Permissions {
  readonly #definitions: Definitions;
  readonly #catalogue: KnownCatalogue;
  readonly #own: OwnTables;

  constructor(dataSource: DataSource, definitions: Definitions, catalogue: KnownCatalogue) {
    this.#definitions = definitions;
    this.#catalogue = catalogue;
    this.#own = ownTables(dataSource);
  }

  /** Opens the installation, which every process does first. */
  async opening<T>(open: () => Promise<T>): Promise<T> {
    await this.#expect(openingNeeds(this.#own), OPENING);
    try {
      return await open();
    } catch (error) {
      if (!isInsufficientPrivilege(error)) throw error;
      // Only the first process of an installation writes it down.
      const catalogue = await this.#catalogue.refresh();
      const problems = problemsOf(catalogue, foundingNeeds(this.#own));
      if (problems.length === 0) throw error;
      throw new NotPermittedError(
        `${OPENING} for the first time takes more than role ${catalogue.role} may do: start a worker first, or grant it`,
        problems,
        { role: catalogue.role },
        { cause: error },
      );
    }
  }

  /** What workers do, by what the database says now. */
  async expectWorker(): Promise<void> {
    await this.#catalogue.refresh();
    await this.expectApplying('a worker');
  }

  /** The same for one call, which is named. */
  expectApplying(call: string): Promise<void> {
    return this.#expect(workerNeeds(this.#definitions, this.#own), call);
  }

  /** Counting without changing anything. */
  expectCounting(call: string): Promise<void> {
    return this.#expect(countingNeeds(this.#definitions, this.#own), call);
  }

  async #expect(needs: readonly TableNeed[], work: string): Promise<void> {
    if (problemsOf(await this.#catalogue.load(), needs).length === 0) return;
    // It may have been granted since.
    const current = await this.#catalogue.refresh();
    const problems = problemsOf(current, needs);
    if (problems.length === 0) return;
    const { role } = current;
    throw new NotPermittedError(`role ${role} may not do what ${work} needs`, problems, { role });
  }
}

/** Whether the database keeps something from this process that others may have. */
export function isNotPermitted(error: unknown): boolean {
  return error instanceof NotPermittedError || isInsufficientPrivilege(error);
}

/** What a process does with one table. */
export interface TableNeed {
  /** As metadata give it, unescaped. */
  readonly path: string;
  /** Columns that it reads; `every` for one of the library's own tables. */
  readonly select: ReadonlySet<string> | 'every';
  /** Columns that it changes, or `every`. */
  readonly update: ReadonlySet<string> | 'every';
  readonly insert: boolean;
  readonly delete: boolean;
  /** Locks rows, which takes the privilege to change some column. */
  readonly locks?: boolean;
}

const NOTHING: ReadonlySet<string> = new Set();

/** Reads all columns of one of the library's own tables, and does with it what else is named. */
export function ownNeed(path: string, more: Partial<Omit<TableNeed, 'path' | 'select'>> = {}): TableNeed {
  return { path, select: 'every', update: NOTHING, insert: false, delete: false, ...more };
}

/** What is done with tables of users: columns that are read, and columns that are changed, by table. */
export class Needs {
  readonly #tables = new Map<string, { readonly select: Set<string>; readonly update: Set<string> }>();

  add(path: string, { select = [], update = [] }: { select?: Iterable<string>; update?: Iterable<string> }): void {
    const known = this.#tables.get(path) ?? { select: new Set(), update: new Set() };
    this.#tables.set(path, known);
    for (const name of select) known.select.add(name);
    for (const name of update) known.update.add(name);
  }

  list(): readonly TableNeed[] {
    return [...this.#tables].map(([path, columns]) => ({ path, ...columns, insert: false, delete: false }));
  }
}

/** What opening the installation does, in every process. */
function openingNeeds({ state, shard, outbox }: OwnTables): readonly TableNeed[] {
  return [ownNeed(state), ownNeed(shard), ownNeed(outbox)];
}

/** What opening it for the first time does. */
function foundingNeeds({ state, shard, outbox }: OwnTables): readonly TableNeed[] {
  const more = { insert: true, update: 'every' } as const;
  return [ownNeed(state, more), ownNeed(shard, more), ownNeed(outbox)];
}

/** What recounting does: it reads every source, every target, and every intermediate row. */
function countingNeeds(definitions: Definitions, own: OwnTables): readonly TableNeed[] {
  return [...openingNeeds(own), ownNeed(own.ledger), ...tablesOf(definitions, false)];
}

/** What a worker does: it recounts, applies, and keeps the library's own tables. */
function workerNeeds(definitions: Definitions, own: OwnTables): readonly TableNeed[] {
  return [
    ownNeed(own.state, { insert: true, update: 'every', delete: true }),
    ownNeed(own.shard, { insert: true, update: 'every' }),
    ownNeed(own.ledger, { insert: true, update: 'every', delete: true }),
    ownNeed(own.outbox, { update: 'every', delete: true }),
    ...tablesOf(definitions, true),
  ];
}

function tablesOf({ targetTables, counters }: Definitions, isChanging: boolean): readonly TableNeed[] {
  const needs = new Needs();
  for (const targetTable of targetTables.values()) {
    const update = isChanging ? [...targetTable.columns.keys(), ...targetTable.touches.keys()] : [];
    needs.add(targetTable.tablePath, { select: readOf(targetTable), update });
  }
  for (const counter of counters) {
    needs.add(counter.source.tablePath, { select: sourceColumns(counter) });
    for (const step of counter.targets.flatMap(({ path }) => path?.steps ?? []))
      needs.add(step.metadata.tablePath, { select: stepColumns(step) });
  }
  return needs.list();
}

function readOf({ keys, columns, touches, metadata }: TargetTable): readonly string[] {
  // A method is given the whole row.
  const isLoaded = [...columns.values()].some(({ counters }) => counters.some(({ method }) => method !== null));
  const loaded = isLoaded ? metadata.columns.map(({ databaseName }) => databaseName) : [];
  return [...namesOf(keys), ...columns.keys(), ...touches.keys(), ...loaded];
}

function sourceColumns(counter: Counter): readonly string[] {
  return [...counter.needs, ...counter.targets.flatMap(ownColumns)];
}

/** Of the source: what a path leads to lies elsewhere. */
function ownColumns({ foreignKeys, path }: CounterTarget): readonly string[] {
  return namesOf(path?.entry ?? foreignKeys);
}

/** What is read of an intermediate row. */
export function stepColumns({ keys, foreignKeys, deletedColumn, where }: PathStep): readonly string[] {
  return [
    ...namesOf(keys),
    ...namesOf(foreignKeys),
    ...(deletedColumn === null ? [] : [deletedColumn]),
    ...(where?.columns ?? []),
  ];
}

function namesOf(columns: readonly KeyColumn[]): readonly string[] {
  return columns.map(({ name }) => name);
}

/** What keeps the catalogue's role from doing what is needed, each with its remedy; tables that are missing are none. */
export function problemsOf(catalogue: Catalogue, needs: readonly TableNeed[]): readonly string[] {
  return problemsBy(catalogue, needs, (...args) => [...privilegeProblems(...args), ...rowProblems(...args)]);
}

/** The same as far as privileges are concerned: policies may hide what they like. */
export function missingPrivileges(catalogue: Catalogue, needs: readonly TableNeed[]): readonly string[] {
  return problemsBy(catalogue, needs, privilegeProblems);
}

function problemsBy(
  catalogue: Catalogue,
  needs: readonly TableNeed[],
  look: (table: CatalogueTable, need: TableNeed, role: string) => readonly string[],
): readonly string[] {
  const { role } = catalogue;
  const schemas = new Set<string>();
  const problems = needs.flatMap((need) => {
    const table = catalogue.tableAt(need.path);
    if (table === undefined) return [];
    if (!table.canUseSchema) schemas.add(table.schema);
    return look(table, need, role);
  });
  const usage = [...schemas].map((schema) => `role ${role} may not use schema ${schema}. ${usageSql(schema, role)}`);
  return [...usage, ...problems];
}

function privilegeProblems(table: CatalogueTable, need: TableNeed, role: string): readonly string[] {
  const { privileges } = table;
  const missing = [
    missingOn('SELECT', table, need.select, ({ canSelect }) => canSelect),
    missingOn('UPDATE', table, need.update, ({ canUpdate }) => canUpdate),
    need.locks === true && !privileges.update ? { privilege: 'UPDATE', columns: [] } : null,
    need.insert && !privileges.insert ? { privilege: 'INSERT', columns: [] } : null,
    need.delete && !privileges.delete ? { privilege: 'DELETE', columns: [] } : null,
  ].filter((one) => one !== null);
  if (missing.length === 0) return [];
  const names = missing.map(({ privilege }) => privilege).join(', ');
  return [`role ${role} lacks ${names} on ${table.sql}. ${grantAllSql(missing, table.sql, role)}`];
}

function missingOn(
  privilege: 'SELECT' | 'UPDATE',
  { columns }: CatalogueTable,
  needed: TableNeed['select'],
  isAllowed: (column: CatalogueColumn) => boolean,
): { readonly privilege: string; readonly columns: readonly string[] } | null {
  const missing = [...columns.values()]
    .filter((column) => (needed === 'every' || needed.has(column.name)) && !isAllowed(column))
    .map(({ name }) => name);
  if (missing.length === 0) return null;
  return { privilege, columns: needed === 'every' ? [] : missing };
}

/** What a process may not see counts as absent, and what it may not change stays as it is, without an error. */
function rowProblems({ reachesAll, sql }: CatalogueTable, need: TableNeed, role: string): readonly string[] {
  const isChanging = need.update === 'every' || need.update.size > 0;
  const isFree =
    reachesAll.select &&
    (!isChanging || reachesAll.update) &&
    (!need.insert || reachesAll.insert) &&
    (!need.delete || reachesAll.delete);
  if (isFree) return [];
  const what = isChanging
    ? `hide rows of ${sql} from role ${role}, or keep it from changing them`
    : `hide rows of ${sql} from role ${role}`;
  return [`row security may ${what}. ${bypassSql(role)}, or ${policySql(sql, role)}`];
}
