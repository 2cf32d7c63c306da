import type { EntityManager, EntityMetadata } from 'typeorm';

import type { Mode } from './mode';
import type { Where } from './where/where';

/** A row as the database returns it: database column name → raw driver value. */
export type Row = Readonly<Record<string, unknown>>;

/** A source row as user functions see it: own columns hydrated as TypeORM does, no relations. */
export type SourceEntity = Readonly<Record<string, unknown>>;

/** A column by which source rows refer to a target row. */
export interface KeyColumn {
  /** Database column name. */
  readonly name: string;
  /** SQL type to cast a key given as text to, e.g. `integer`, `uuid`. */
  readonly sqlType: string;
}

/** One counter column of a target table, with everything that feeds it. */
export interface CounterColumn {
  readonly targetTable: TargetTable;
  /** Database column name. */
  readonly name: string;
  /** Property path on the target entity. */
  readonly property: string;
  /** Digits after the decimal point; 0 for integer types. Amounts are integers in units of 10^-scale. */
  readonly scale: number;
  /** SQL type, e.g. `integer`, `bigint`, `numeric`. */
  readonly sqlType: string;
  /** What TypeORM makes of a value that the driver returned: the column's transformers are applied. */
  readonly hydrate: (value: unknown) => unknown;
  /** Every counter that feeds this column (also those that merely may, by a dynamic `column`). */
  readonly counters: readonly Counter[];
}

/** A timestamp column written together with a counter. */
export interface TouchColumn {
  readonly name: string;
  readonly property: string;
  readonly sqlType: string;
}

/**
 * A target table together with the key by which sources refer to its rows. All counters of one target table are applied and
 * recounted together.
 */
export interface TargetTable {
  /** Encoded table path and key columns, see `target.ts`; the prefix of the id of each of its rows. */
  readonly id: string;
  readonly metadata: EntityMetadata;
  /** Schema-qualified table path, not escaped. */
  readonly tablePath: string;
  readonly keys: readonly KeyColumn[];
  /** By database column name. */
  readonly columns: ReadonlyMap<string, CounterColumn>;
  /** By database column name. */
  readonly touches: ReadonlyMap<string, TouchColumn>;
}

/** An intermediate row. */
export interface PathStep {
  readonly metadata: EntityMetadata;
  /** Its columns by which the row before refers to it. */
  readonly keys: readonly KeyColumn[];
  /** Its columns that refer to the next row, in the order of that row's keys. */
  readonly foreignKeys: readonly KeyColumn[];
  /** Database name of its delete-date column when a soft-deleted row leads nowhere; otherwise `null`. */
  readonly deletedColumn: string | null;
  /** Rows for which it is not true lead nowhere. */
  readonly where: Where | null;
  /** Database columns whose change moves what hangs below. */
  readonly relevant: ReadonlySet<string>;
  /** Rows may refer to one that does not exist yet: no foreign key of the database vouches for it. */
  readonly mayAppear: boolean;
}

/** The intermediate rows of a path, of which there is at least one. */
export interface Path {
  /** The same for counters that go the same way under the same conditions. */
  readonly id: string;
  /** Columns of the source that refer to the first row, in the order of its keys. */
  readonly entry: readonly KeyColumn[];
  readonly steps: readonly PathStep[];
}

/** How source rows of one counter find a target of one table. */
export interface CounterTarget {
  readonly targetTable: TargetTable;
  /** Where a source row holds the target's key, in the order of `targetTable.keys`: its own columns, or what `path` leads to. */
  readonly foreignKeys: readonly KeyColumn[];
  /** The intermediate rows of a path; `null` when the source refers to the target itself. */
  readonly path: Path | null;
  /** The type column and the value that selects this table; only for polymorphic counters. */
  readonly type: { readonly column: string; readonly value: string } | null;
  /** Columns this counter writes, by property of the target; one, unless `column` is dynamic. */
  readonly columns: ReadonlyMap<string, CounterColumn>;
  readonly touch: TouchColumn | null;
}

/** What one counted row adds. */
export type Amount =
  | { readonly from: 'constant'; readonly value: number | bigint }
  | { readonly from: 'column'; readonly column: string }
  | { readonly from: 'function'; readonly fn: (source: SourceEntity) => unknown };

/** A custom recount; receives the target's entity (loaded by key) and a manager inside the recount's transaction. */
export type RecountMethod = (target: object, manager: EntityManager) => Promise<number | bigint | string>;

/** One declared cached column, resolved against TypeORM's metadata and frozen. */
export interface Counter {
  /** Stable id: the `name` option, or derived from source, relation and column. */
  readonly name: string;
  /** For messages: `Post.author → User.postsCount`. */
  readonly label: string;
  readonly source: EntityMetadata;
  /** One for a relation or a path; one per declared type for a polymorphic counter. */
  readonly targets: readonly CounterTarget[];
  /** The type column of a polymorphic counter. */
  readonly typeColumn: string | null;
  /** Types known to have no target of their own and ignored silently. */
  readonly ignoredTypes: ReadonlySet<string>;
  /** The static property, or the function that picks one per row. */
  readonly column: string | ((source: SourceEntity) => string | null);
  readonly condition: ((source: SourceEntity) => unknown) | null;
  readonly where: Where | null;
  readonly amount: Amount;
  /** Milliseconds, or a function of the row; `null` takes the default of the configuration. */
  readonly wait: number | ((source: SourceEntity) => unknown) | null;
  /** `false`: never scheduled after writes; `null` delay takes the default of the configuration. */
  readonly recalculation: { readonly delay: number | null } | false;
  readonly method: RecountMethod | null;
  /** Source text of `method`; of several, one for each target. */
  readonly methodText: string | null;
  readonly flushAt: number | null;
  /** `null` takes the default of the configuration. */
  readonly mode: Mode | null;
  /** Database name of the source's delete-date column when soft-deleted rows do not count; otherwise `null`. */
  readonly deletedColumn: string | null;
  /** Single-table inheritance: rows count only when the discriminator column holds one of these. */
  readonly discriminator: { readonly column: string; readonly values: readonly string[] } | null;
  /** Database columns of the source whose change can change a contribution. */
  readonly relevant: ReadonlySet<string>;
  /** Database columns to read from a row in order to compute its contribution (a superset of `relevant`). */
  readonly needs: readonly string[];
  /** Whether a recount can be expressed in SQL. */
  readonly sql: boolean;
  /** Builds what user functions see. */
  readonly hydrate: (row: Row) => SourceEntity;
}

/** What one source row adds to one column of one target, in units of 10^-scale of that column. */
export interface Contribution {
  readonly counter: Counter;
  readonly column: CounterColumn;
  readonly touch: TouchColumn | null;
  /** Encoded target id. */
  readonly target: string;
  readonly amount: bigint;
}

/** All counters of one DataSource, resolved. */
export interface Definitions {
  readonly counters: readonly Counter[];
  /** By `TargetTable.id`. */
  readonly targetTables: ReadonlyMap<string, TargetTable>;
  /** Counters fed by rows written through this metadata (its own, its parents' in the same table, its children's). */
  readonly countersOf: ReadonlyMap<EntityMetadata, readonly Counter[]>;
  /** Database names of the counter columns in the table of this metadata (parents and children of an STI table included). */
  readonly counterColumnsOf: ReadonlyMap<EntityMetadata, ReadonlySet<string>>;
}
