import type { EntityMetadata, QueryRunner } from 'typeorm';

import type { Catalogue, CatalogueTable } from '../dialects/postgres/catalogue/catalogue';
import { CounterCacheError } from '../errors';
import { escapePath } from '../dialects/postgres/escape';
import { rowsOf } from '../dialects/postgres/query';

/** Milliseconds for which a table that was found to be another one is taken for another one. */
const REMEMBERED = 1_000;

/** PostgreSQL: undefined_column. */
const UNDEFINED_COLUMN = '42703';

/**
 * The table that an entity's path meant when the database was asked: what is counted of the entity are rows of it, of its
 * partitions and of its child tables. The search path of a connection may make the same path mean another table
 * (docs/adr/0024-where-tables-are.md).
 */
export class Place {
  readonly #metadata: EntityMetadata;
  readonly #table: CatalogueTable | undefined;
  readonly #oids: ReadonlySet<string>;
  readonly #refresh: () => Promise<Catalogue>;
  /** The table that was found in its stead last, and when. */
  #other: { readonly oid: string; readonly at: number } | null = null;

  /** `refresh` asks the database again what its tables are. */
  constructor(metadata: EntityMetadata, catalogue: Catalogue, refresh: () => Promise<Catalogue>) {
    this.#metadata = metadata;
    this.#table = catalogue.tableAt(metadata.tablePath);
    this.#oids = oidsOf(this.#table);
    this.#refresh = refresh;
  }

  /** What to return of a row, for the text of a builder: the oid of its table. */
  returning(alias: string | null = null): string {
    // A view has none, nor may everybody read it. A name is looked up where the statement is analysed, in its search path.
    if (this.#table?.privileges.tableOid !== true) return `CAST(${this.#named} AS oid)`;
    return alias === null ? 'tableoid' : `${alias}.tableoid`;
  }

  /** A condition, for the text of a builder: the entity's path means this very table in the statement. */
  get condition(): string {
    return `${this.#named} = '${this.#table?.oid ?? 0}'`;
  }

  /** Whether rows with this oid are counted, as far as is known. */
  has(oid: string): boolean {
    return this.#oids.has(oid);
  }

  /**
   * Asks the database about rows with an oid that is not known: the table may have been recreated, or have got a partition.
   *
   * @returns why a write of them is refused; `null` when they are counted
   */
  async check(oid: string, runner: QueryRunner): Promise<CounterCacheError | null> {
    const isKnown = this.#other?.oid === oid && performance.now() - this.#other.at < REMEMBERED;
    if (!isKnown && oidsOf((await this.#refresh()).tableAt(this.#metadata.tablePath)).has(oid)) return null;
    if (!isKnown) this.#other = { oid, at: performance.now() };
    const [row] = await rowsOf(
      runner,
      `SELECT pg_catalog.format('%I.%I', s.nspname, c.relname) AS name FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace WHERE c.oid = $1`,
      [oid],
    );
    return this.refusal(row === undefined ? null : String(row['name']));
  }

  /** Why a write to another table is refused. `found` is that table, if it is known. */
  refusal(found: string | null): CounterCacheError {
    const { name, tablePath } = this.#metadata;
    const counted = this.#table?.sql ?? null;
    const means = counted === null ? `there was no ${tablePath}` : `the counters of this DataSource count ${counted}`;
    const reason = `a write of ${name} went to ${found ?? 'another table'}, but ${means}: its search_path is not the one with which they were opened`;
    const advice =
      'Roll it back: it cannot be committed. Use a DataSource per schema, with the option `schema`, and attach counters to each';
    return new CounterCacheError('WRITE_FAILED', `${reason}. ${advice}`, { entity: name, table: counted, found });
  }

  /** A statement failed: if that is since what was a table is a view by now, the next one will know. */
  async noticeOutdated(failure: unknown): Promise<void> {
    const { code, message } = (failure ?? {}) as { readonly code?: unknown; readonly message?: unknown };
    if (code === UNDEFINED_COLUMN && String(message).includes('tableoid')) await this.#refresh().catch(() => undefined);
  }

  get #named(): string {
    return `regclass ${builderLiteral(escapePath(this.#metadata.tablePath))}`;
  }
}

function oidsOf(table: CatalogueTable | undefined): ReadonlySet<string> {
  return new Set(table === undefined ? [] : [table.oid, ...table.descendants]);
}

/** A text literal, for SQL that TypeORM looks through for parameters: `:name` would be taken for one. */
function builderLiteral(text: string): string {
  const quoted = text.replaceAll("'", "''");
  if (!/[:\\]/.test(text)) return `'${quoted}'`;
  return `E'${quoted.replaceAll('\\', '\\\\').replaceAll(':', String.raw`\x3A`)}'`;
}
