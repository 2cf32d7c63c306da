import { type DataSource, EntitySchema, type QueryRunner } from 'typeorm';

import type { DatabaseIdentity } from '../catalogue/identity';
import { escapeName, escapePath } from '../escape';
import { rowsOf } from '../query';

/** Installation id, number of shards, format, floor of the ledger. */
const StateEntity = new EntitySchema<{ id: string; value: string }>({
  name: 'CounterCacheState',
  tableName: 'counter_cache_state',
  columns: { id: { type: 'text', primary: true }, value: { type: 'text' } },
});

/**
 * The epoch of each shard; 0 until the shard is first used. `rebuilding` says how far the recounts of a shard that lost
 * its data have been requested.
 */
const ShardEntity = new EntitySchema<{ shard: number; epoch: string; rebuilding: string | null }>({
  name: 'CounterCacheShard',
  tableName: 'counter_cache_shard',
  columns: {
    shard: { type: 'integer', primary: true },
    epoch: { type: 'bigint' },
    rebuilding: { type: 'text', nullable: true },
  },
});

/** Applied batches; `unapplied` names the targets that were not, with what becomes of them. */
const LedgerEntity = new EntitySchema<{ batch: string; shard: number; applied_at: Date; unapplied: unknown }>({
  name: 'CounterCacheLedger',
  tableName: 'counter_cache_ledger',
  columns: {
    batch: { type: 'uuid', primary: true },
    shard: { type: 'integer' },
    applied_at: { type: 'timestamp with time zone', default: () => 'CURRENT_TIMESTAMP' },
    unapplied: { type: 'jsonb', nullable: true },
  },
  indices: [{ columns: ['applied_at'] }],
});

const OPEN = '"applied_at" IS NULL';
const WAITING = `${OPEN} AND "failed" IS NULL`;
const RETAINED = '"applied_at" IS NOT NULL';

/** The indexes of the outbox: by what is due, by target, by what is kept after it was applied. */
const OUTBOX_INDICES = [
  { columns: ['shard', 'repair', 'due'], where: WAITING },
  { columns: ['target'], where: OPEN },
  { columns: ['applied_at'], where: RETAINED },
];

/**
 * Deltas, inserted in the caller's transaction, by the statement that makes them or by one right before COMMIT. A writer
 * deletes only rows of its own, uncommitted ones, and changes none, so that writers cannot meet on one.
 */
const OutboxEntity = new EntitySchema<OutboxRow>({
  name: 'CounterCacheOutbox',
  tableName: 'counter_cache_outbox',
  columns: {
    id: { type: 'bigint', primary: true, generated: 'increment' },
    shard: { type: 'integer' },
    target: { type: 'text' },
    column: { type: 'text', nullable: true },
    amount: { type: 'bigint' },
    touches: { type: 'text', array: true },
    written_at: { type: 'timestamp with time zone' },
    due: { type: 'timestamp with time zone' },
    recalculate_in: { type: 'bigint', nullable: true },
    repair: { type: 'boolean' },
    failed: { type: 'text', nullable: true },
    applied_at: { type: 'timestamp with time zone', nullable: true },
  },
  indices: OUTBOX_INDICES,
});

interface OutboxRow {
  id: string;
  shard: number;
  target: string;
  /** `null`: only asks for a recalculation, or only touches. */
  column: string | null;
  /** Units of 10^-scale of the column. */
  amount: string;
  touches: string[];
  written_at: Date;
  due: Date;
  /** Milliseconds until a full recalculation; `null` is never. */
  recalculate_in: string | null;
  /** Asks for a recalculation behind every transaction open at COMMIT. */
  repair: boolean;
  /** Why the database refused to change the target. */
  failed: string | null;
  applied_at: Date | null;
}

/** The library's own tables, to be listed among a DataSource's entities when counters are attached after `initialize()`. */
export const counterCacheEntities: readonly EntitySchema[] = [
  StateEntity,
  ShardEntity,
  LedgerEntity,
  OutboxEntity,
] as readonly EntitySchema[];

/** Escaped paths of the library's own tables. */
export interface TablePaths {
  readonly state: string;
  readonly shard: string;
  readonly ledger: string;
  /** Name of the index by which the ledger is purged. */
  readonly ledgerIndex: string;
  readonly outbox: string;
  /** Names of the outbox' indexes, in the order in which it is declared. */
  readonly outboxIndices: readonly string[];
  /** Which database they are in; `null` where that is not looked at. */
  readonly database: DatabaseIdentity | null;
}

/** Paths of the library's own tables, not escaped. */
export type OwnTables = Readonly<Record<'state' | 'shard' | 'ledger' | 'outbox', string>>;

/** Where the library's tables are: as the DataSource's metadata say, else by its schema and prefix. */
export function ownTables(dataSource: DataSource): OwnTables {
  const { schema, entityPrefix = '' } = dataSource.options as { schema?: string; entityPrefix?: string };
  const path = ({ options }: Pick<EntitySchema<never>, 'options'>): string => {
    const name = entityPrefix + (options.tableName ?? options.name);
    const metadata = dataSource.entityMetadatas.find((candidate) => candidate.name === options.name);
    return metadata?.tablePath ?? dataSource.driver.buildTableName(name, schema);
  };
  return {
    state: path(StateEntity as unknown as EntitySchema<never>),
    shard: path(ShardEntity as unknown as EntitySchema<never>),
    ledger: path(LedgerEntity as unknown as EntitySchema<never>),
    outbox: path(OutboxEntity as unknown as EntitySchema<never>),
  };
}

/** The same, escaped, with the names of indexes. */
export function tablePaths(dataSource: DataSource): TablePaths {
  const { entityPrefix = '' } = dataSource.options as { entityPrefix?: string };
  const { state, shard, ledger, outbox } = ownTables(dataSource);
  // As `synchronize` and `migration:generate` name them.
  const index = ({ tableName }: { tableName?: string }, columns: string[], where?: string): string =>
    escapeName(dataSource.namingStrategy.indexName(entityPrefix + (tableName ?? ''), columns, where));
  return {
    state: escapePath(state),
    shard: escapePath(shard),
    ledger: escapePath(ledger),
    ledgerIndex: index(LedgerEntity.options, ['applied_at']),
    outbox: escapePath(outbox),
    outboxIndices: OUTBOX_INDICES.map(({ columns, where }) => index(OutboxEntity.options, columns, where)),
    database: null,
  };
}

const LOCATED = ['state', 'shard', 'ledger', 'outbox'] as const satisfies readonly (keyof TablePaths)[];

/** The same tables by names with their schemas, which mean the same on every connection; they exist, in this database. */
export async function locateTables(
  runner: QueryRunner,
  paths: TablePaths,
  database: DatabaseIdentity,
): Promise<TablePaths> {
  const rows = await rowsOf(
    runner,
    `SELECT s.nspname AS schema, c.relname AS name FROM unnest($1::text[]) WITH ORDINALITY AS p(path, ordinal)
     JOIN pg_catalog.pg_class c ON c.oid = to_regclass(p.path)
     JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace ORDER BY p.ordinal`,
    [LOCATED.map((name) => paths[name])],
  );
  const names = rows.map((row) => [row['schema'], row['name']].map((part) => escapeName(String(part))).join('.'));
  return { ...paths, ...Object.fromEntries(LOCATED.map((name, i) => [name, names[i] ?? paths[name]])), database };
}

/**
 * The SQL that creates those of the library's tables that are missing, down to TypeORM's spelling of defaults; fit for a
 * migration's `up`.
 */
export function createTablesSql(paths: TablePaths): string {
  return [
    `CREATE TABLE IF NOT EXISTS ${paths.state} ("id" text PRIMARY KEY, "value" text NOT NULL);`,
    `CREATE TABLE IF NOT EXISTS ${paths.shard} ("shard" integer PRIMARY KEY, "epoch" bigint NOT NULL, "rebuilding" text);`,
    `CREATE TABLE IF NOT EXISTS ${paths.ledger} ("batch" uuid PRIMARY KEY, "shard" integer NOT NULL, "applied_at" timestamp with time zone NOT NULL DEFAULT now(), "unapplied" jsonb);`,
    `CREATE INDEX IF NOT EXISTS ${paths.ledgerIndex} ON ${paths.ledger} ("applied_at");`,
    `CREATE TABLE IF NOT EXISTS ${paths.outbox} ("id" bigserial PRIMARY KEY, "shard" integer NOT NULL, "target" text NOT NULL, "column" text, "amount" bigint NOT NULL, "touches" text[] NOT NULL, "written_at" timestamp with time zone NOT NULL, "due" timestamp with time zone NOT NULL, "recalculate_in" bigint, "repair" boolean NOT NULL, "failed" text, "applied_at" timestamp with time zone);`,
    ...OUTBOX_INDICES.map(
      ({ columns, where }, i) =>
        `CREATE INDEX IF NOT EXISTS ${paths.outboxIndices[i]} ON ${paths.outbox} (${columns.map(escapeName).join(', ')}) WHERE ${where};`,
    ),
  ].join('\n');
}
