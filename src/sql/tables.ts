import { type DataSource, EntitySchema } from 'typeorm';

import { escapeName, escapePath } from './escape';

/** Installation id, number of shards, format, floor of the ledger. */
export const StateEntity = new EntitySchema<{ id: string; value: string }>({
  name: 'CounterCacheState',
  tableName: 'counter_cache_state',
  columns: { id: { type: 'text', primary: true }, value: { type: 'text' } },
});

/**
 * The epoch of each shard; 0 until the shard is first used. `rebuilding` says how far the recounts of a shard that lost
 * its data have been requested.
 */
export const ShardEntity = new EntitySchema<{ shard: number; epoch: string; rebuilding: string | null }>({
  name: 'CounterCacheShard',
  tableName: 'counter_cache_shard',
  columns: {
    shard: { type: 'integer', primary: true },
    epoch: { type: 'bigint' },
    rebuilding: { type: 'text', nullable: true },
  },
});

/** Applied batches; `unapplied` names the targets that were not, with what becomes of them. */
export const LedgerEntity = new EntitySchema<{ batch: string; shard: number; applied_at: Date; unapplied: unknown }>({
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

/** The library's own tables, to be listed among a DataSource's entities when counters are attached after `initialize()`. */
export const counterCacheEntities: readonly EntitySchema[] = [
  StateEntity,
  ShardEntity,
  LedgerEntity,
] as readonly EntitySchema[];

/** Escaped paths of the library's own tables. */
export interface TablePaths {
  readonly state: string;
  readonly shard: string;
  readonly ledger: string;
  /** Name of the index by which the ledger is purged. */
  readonly ledgerIndex: string;
}

/** Where the library's tables are: as the DataSource's metadata say, else by its schema and prefix. */
export function tablePaths(dataSource: DataSource): TablePaths {
  const { schema, entityPrefix = '' } = dataSource.options as { schema?: string; entityPrefix?: string };
  const path = ({ options }: EntitySchema<never>): string => {
    const name = entityPrefix + (options.tableName ?? options.name);
    const metadata = dataSource.entityMetadatas.find((candidate) => candidate.name === options.name);
    return escapePath(metadata?.tablePath ?? dataSource.driver.buildTableName(name, schema));
  };
  const ledger = path(LedgerEntity as unknown as EntitySchema<never>);
  // As `synchronize` and `migration:generate` name it.
  const index = dataSource.namingStrategy.indexName(entityPrefix + (LedgerEntity.options.tableName ?? ''), [
    'applied_at',
  ]);
  return {
    state: path(StateEntity as unknown as EntitySchema<never>),
    shard: path(ShardEntity as unknown as EntitySchema<never>),
    ledger,
    ledgerIndex: escapeName(index),
  };
}

/** The SQL that creates the library's tables, down to TypeORM's spelling of defaults; fit for a migration's `up`. */
export function createTablesSql(paths: TablePaths): string {
  return [
    `CREATE TABLE ${paths.state} ("id" text PRIMARY KEY, "value" text NOT NULL);`,
    `CREATE TABLE ${paths.shard} ("shard" integer PRIMARY KEY, "epoch" bigint NOT NULL, "rebuilding" text);`,
    `CREATE TABLE ${paths.ledger} ("batch" uuid PRIMARY KEY, "shard" integer NOT NULL, "applied_at" timestamp with time zone NOT NULL DEFAULT now(), "unapplied" jsonb);`,
    `CREATE INDEX ${paths.ledgerIndex} ON ${paths.ledger} ("applied_at");`,
  ].join('\n');
}
