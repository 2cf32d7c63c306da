/** What happens to referencing rows when the row that they refer to is deleted, or changes its key. */
export type ForeignKeyAction = 'NO ACTION' | 'RESTRICT' | 'CASCADE' | 'SET NULL' | 'SET DEFAULT';

/**
 * A foreign key that the database enforces; an inherited copy on a partition is not listed, nor one whose triggers are
 * disabled.
 */
export interface ForeignKey {
  readonly name: string;
  /** Oid of the table whose rows refer to others. */
  readonly table: string;
  readonly columns: readonly string[];
  /** Oid of the table that is referred to. */
  readonly referenced: string;
  /** In the order of `columns`. */
  readonly referencedColumns: readonly string[];
  readonly onDelete: ForeignKeyAction;
  readonly onUpdate: ForeignKeyAction;
  /** Columns that SET NULL and SET DEFAULT change on a delete: all of the key, unless it names some. */
  readonly deleteSets: readonly string[];
  /** The database vouches for rows that were there before the key (not `NOT VALID`). */
  readonly isValidated: boolean;
  /** It may be violated until COMMIT. */
  readonly isDeferrable: boolean;
}

/** One column as the database has it. */
export interface CatalogueColumn {
  readonly name: string;
  /** As `format_type` writes it, without length and precision: `integer`, `character varying`, `numeric[]`. */
  readonly type: string;
  /** Escaped and with its schema: casts to this very type under any search path; without length and precision. */
  readonly cast: string;
  readonly isEnum: boolean;
  /** Longest text, in characters, that `character varying(n)` takes; `null` for none, and for other types. */
  readonly length: number | null;
  readonly isNullable: boolean;
  /** The database computes it from other columns. */
  readonly isGenerated: boolean;
  readonly isIdentity: boolean;
  /** Expression of its default; `null` for NULL, and for a generated column. */
  readonly default: string | null;
  /** The present role may read, or change, this column. */
  readonly canSelect: boolean;
  readonly canUpdate: boolean;
}

/** When triggers run for each row, before it is written, and so may write another row, or none. */
export interface RowTriggers {
  readonly insert: boolean;
  readonly update: boolean;
  readonly delete: boolean;
}

/** A table as the database has it, seen by the present role. */
export interface CatalogueTable {
  /** Identifies the table within its database; `tableoid` of its rows, but for those of partitions and child tables. */
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  /** Escaped and with its schema: means this table under any search path. */
  readonly sql: string;
  readonly kind: 'table' | 'partitioned table' | 'view' | 'other';
  /** Oids of the tables that it inherits from, or is a partition of; nearest first, all generations. */
  readonly ancestors: readonly string[];
  /** Oids of its child tables and partitions, all generations. */
  readonly descendants: readonly string[];
  readonly columns: ReadonlyMap<string, CatalogueColumn>;
  /** Columns of constraints and indexes that keep rows apart: unconditional, checked at once, on plain columns. */
  readonly uniqueKeys: readonly (readonly string[])[];
  /** On this table: its rows refer to others. */
  readonly foreignKeys: readonly ForeignKey[];
  readonly rowTriggers: RowTriggers;
  /** Rules may turn a statement into others. */
  readonly hasRules: boolean;
  /** Policies may hide rows of it from the present role, or keep it from changing them. */
  readonly hasRowSecurity: boolean;
  /** Row security is switched on, whomever it concerns: roles that it concerns may come and go with every statement. */
  readonly isRowSecured: boolean;
  /** Whether the present role reaches every row by a command, as far as policies are concerned. */
  readonly reachesAll: TableReach;
  readonly privileges: TablePrivileges;
  /** The present role may use the schema: without it, no privilege on the table is worth anything. */
  readonly canUseSchema: boolean;
}

/** Whether policies let a role reach every row of a table. */
export interface TableReach {
  readonly select: boolean;
  readonly insert: boolean;
  readonly update: boolean;
  readonly delete: boolean;
}

/** What the present role may do with a table; with `select` and `update`, with at least one of its columns. */
export interface TablePrivileges {
  readonly select: boolean;
  readonly insert: boolean;
  readonly update: boolean;
  readonly delete: boolean;
  /** Read `tableoid`: grants on single columns do not include it, and views have none. */
  readonly tableOid: boolean;
}

/**
 * What the database itself says of its tables, at one moment, for one role. TypeORM's metadata are a wish: constraints,
 * triggers and policies may be others.
 */
export class Catalogue {
  /** `current_user`. */
  readonly role: string;
  /** `server_version_num`, e.g. 180001. */
  readonly serverVersion: number;
  /** Where names without a schema were looked up. */
  readonly schemas: readonly string[];
  /** Every foreign key of the database whose tables are both in {@link tables}. */
  readonly foreignKeys: readonly ForeignKey[];
  /** Equal for equal contents. */
  readonly fingerprint: string;
  /** What the database's catalogue was like as a whole when the reading began: equal as long as nothing changes. */
  readonly stamp: string;
  readonly #byOid: ReadonlyMap<string, CatalogueTable>;
  /** By the path that metadata give (`schema.table`, or `table`), unescaped. */
  readonly #byPath: ReadonlyMap<string, CatalogueTable>;

  constructor(contents: {
    readonly role: string;
    readonly serverVersion: number;
    readonly schemas: readonly string[];
    readonly fingerprint: string;
    readonly stamp: string;
    readonly tables: readonly CatalogueTable[];
    /** Path → oid. */
    readonly paths: ReadonlyMap<string, string>;
  }) {
    const { role, serverVersion, schemas, fingerprint, stamp, tables, paths } = contents;
    this.role = role;
    this.serverVersion = serverVersion;
    this.schemas = schemas;
    this.fingerprint = fingerprint;
    this.stamp = stamp;
    this.#byOid = new Map(tables.map((table) => [table.oid, table]));
    this.#byPath = new Map(
      [...paths].flatMap(([path, oid]) => {
        const table = this.#byOid.get(oid);
        return table === undefined ? [] : [[path, table]];
      }),
    );
    this.foreignKeys = tables.flatMap(({ foreignKeys }) => foreignKeys);
  }

  /** The table that a path of TypeORM's metadata meant when the catalogue was read; `undefined` when there was none. */
  tableAt(path: string): CatalogueTable | undefined {
    return this.#byPath.get(path);
  }

  /** A table by its oid. */
  table(oid: string): CatalogueTable | undefined {
    return this.#byOid.get(oid);
  }

  /** Every table: those of the paths, their partitions, children and ancestors, and all that foreign keys connect. */
  get tables(): Iterable<CatalogueTable> {
    return this.#byOid.values();
  }
}
