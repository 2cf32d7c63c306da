import { createHash } from 'node:crypto';

import {
  Catalogue,
  type CatalogueColumn,
  type CatalogueTable,
  type ForeignKey,
  type ForeignKeyAction,
} from './catalogue';
import { reachesAllSql } from './policies';

/** Runs one statement and returns its rows. */
export type RunQuery = (
  sql: string,
  parameters: readonly unknown[],
) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Bits of `pg_trigger.tgtype`. */
const ROW = 1;
const BEFORE = 2;
const EVENTS = { insert: 4, delete: 8, update: 16 } as const;

const ACTIONS: Readonly<Record<string, ForeignKeyAction>> = {
  a: 'NO ACTION',
  r: 'RESTRICT',
  c: 'CASCADE',
  n: 'SET NULL',
  d: 'SET DEFAULT',
};

const KINDS: Readonly<Record<string, CatalogueTable['kind']>> = { r: 'table', p: 'partitioned table', v: 'view' };

/** Oids below are those of the database's own catalogue. */
const FIRST_OF_USERS = 16_384;

/** Names of the columns that an array of attribute numbers of a table means, in its order. */
function columnNames(table: string, numbers: string): string {
  return `ARRAY(SELECT a.attname FROM unnest(${numbers}) WITH ORDINALITY AS n(number, at)
    JOIN pg_attribute a ON a.attrelid = ${table} AND a.attnum = n.number ORDER BY n.at)::text[]`;
}

/** Whether a trigger runs for each row, before an event. Those of the database itself come after it. */
function rowTrigger(event: keyof typeof EVENTS): string {
  return `EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgenabled IN ('O', 'A')
    AND t.tgtype & ${ROW | BEFORE | EVENTS[event]} = ${ROW | BEFORE | EVENTS[event]})`;
}

/** Where names without a schema are looked up, in this order. */
const SCHEMAS = 'COALESCE($4::text[], current_schemas(true)::text[])';

/** The named tables, those that foreign keys connect, and the ancestors and descendants of all of them. */
const TABLES = `
WITH RECURSIVE named AS MATERIALIZED (
  SELECT DISTINCT ON (n.path) n.path, c.oid FROM unnest($1::text[], $2::text[], $3::text[]) AS n(path, schema, name)
  JOIN pg_class c ON c.relname = n.name::name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  JOIN pg_namespace s ON s.oid = c.relnamespace
  JOIN unnest(CASE WHEN n.schema IS NULL THEN ${SCHEMAS} ELSE ARRAY[n.schema::name::text] END) WITH ORDINALITY AS v(schema, at) ON v.schema = s.nspname
  ORDER BY n.path, v.at
), up(oid, ancestor, depth) AS (
  SELECT i.inhrelid, i.inhparent, 1 FROM pg_inherits i
  UNION ALL SELECT up.oid, i.inhparent, up.depth + 1 FROM up JOIN pg_inherits i ON i.inhrelid = up.ancestor
), keys AS MATERIALIZED (
  SELECT f.* FROM pg_constraint f WHERE f.contype = 'f' AND f.conparentid = 0
  -- A column of version 18.
  AND to_jsonb(f)->>'conenforced' IS DISTINCT FROM 'false'
  AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = f.oid AND t.tgenabled NOT IN ('O', 'A'))
), involved AS MATERIALIZED (
  SELECT oid FROM named
  UNION SELECT conrelid FROM keys UNION SELECT confrelid FROM keys
), tables AS MATERIALIZED (
  SELECT oid FROM involved
  UNION SELECT up.ancestor FROM up JOIN involved ON involved.oid = up.oid
  UNION SELECT up.oid FROM up JOIN involved ON involved.oid = up.ancestor
)`;

/** Length of the header that `atttypmod` includes. */
const VARLENA = 4;

/** A default names no column. Given its table, `pg_get_expr` would wait for who has locked it, and that one may wait for this. */
const COLUMNS = `(SELECT COALESCE(jsonb_agg(jsonb_build_object(
    'name', a.attname, 'type', format_type(a.atttypid, NULL), 'cast', format('%I.%I', ts.nspname, ty.typname), 'isEnum', ty.typtype = 'e',
    'length', CASE WHEN a.atttypid = 'varchar'::regtype AND a.atttypmod >= ${VARLENA} THEN a.atttypmod - ${VARLENA} END,
    'isNullable', NOT a.attnotnull, 'isGenerated', a.attgenerated <> '', 'isIdentity', a.attidentity <> '',
    'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, 0) END,
    'canSelect', has_column_privilege(c.oid, a.attnum, 'SELECT'), 'canUpdate', has_column_privilege(c.oid, a.attnum, 'UPDATE')
  ) ORDER BY a.attnum), '[]') FROM pg_attribute a JOIN pg_type ty ON ty.oid = a.atttypid JOIN pg_namespace ts ON ts.oid = ty.typnamespace
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)`;

/** The one table whose rows a view shows, each once; its columns have the same names there. NULL where it shows others as well. */
const SHOWN = `(SELECT (array_agg(b.oid))[1] FROM pg_class b WHERE pg_relation_is_updatable(c.oid, false) <> 0 AND b.oid IN (
    SELECT d.refobjid FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    WHERE r.ev_class = c.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid
  ) HAVING count(*) = 1)`;

const UNIQUE_KEYS = `(SELECT COALESCE(jsonb_agg(to_jsonb(${columnNames('x.indrelid', 'x.indkey[0:x.indnkeyatts - 1]')}) ORDER BY x.indexrelid), '[]')
  FROM pg_index x WHERE x.indrelid = CASE c.relkind WHEN 'v' THEN ${SHOWN} ELSE c.oid END
  AND x.indisunique AND x.indimmediate AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL)`;

/** `SET NULL (columns)` came with version 15; before, all columns of the key are set. */
function foreignKeysSql(serverVersion: number): string {
  const deleteSets = serverVersion >= 150_000 ? 'COALESCE(f.confdelsetcols, f.conkey)' : 'f.conkey';
  return `(SELECT COALESCE(jsonb_agg(jsonb_build_object(
    'name', f.conname, 'table', f.conrelid::text, 'columns', ${columnNames('f.conrelid', 'f.conkey')},
    'referenced', f.confrelid::text, 'referencedColumns', ${columnNames('f.confrelid', 'f.confkey')},
    'onDelete', f.confdeltype, 'onUpdate', f.confupdtype, 'deleteSets', ${columnNames('f.conrelid', deleteSets)}, 'isValidated', f.convalidated,
    'isDeferrable', f.condeferrable
  ) ORDER BY f.oid), '[]') FROM keys f WHERE f.conrelid = c.oid)`;
}

/** Number of the system column `tableoid`; views have none. */
const TABLE_OID = '(-6)';

const PRIVILEGES = `jsonb_build_object(
  'select', has_any_column_privilege(c.oid, 'SELECT'), 'insert', has_any_column_privilege(c.oid, 'INSERT'),
  'update', has_any_column_privilege(c.oid, 'UPDATE'), 'delete', has_table_privilege(c.oid, 'DELETE'),
  'tableOid', COALESCE(has_column_privilege(c.oid, ${TABLE_OID}::smallint, 'SELECT'), false))`;

/**
 * One statement, one snapshot. Tables are looked up by name: `to_regclass` fails on a schema that may not be used. Oids
 * are text: JSON numbers of drivers may be anything.
 */
function catalogueSql(serverVersion: number): string {
  const events = ['insert', 'update', 'delete'] as const;
  const triggers = events.map((event) => `'${event}', ${rowTrigger(event)}`).join(', ');
  const reaches = (['select', ...events] as const).map((command) => `'${command}', ${reachesAllSql('c.oid', command)}`);
  return `${TABLES}
SELECT current_user::text AS role, ${SCHEMAS} AS schemas,
  (SELECT jsonb_object_agg(n.path, n.oid::text) FROM named n) AS paths,
  (SELECT jsonb_agg(jsonb_build_object(
    'oid', c.oid::text, 'schema', s.nspname, 'name', c.relname, 'sql', format('%I.%I', s.nspname, c.relname), 'kind', c.relkind,
    'ancestors', ARRAY(SELECT up.ancestor::text FROM up WHERE up.oid = c.oid ORDER BY up.depth, up.ancestor),
    'descendants', ARRAY(SELECT up.oid::text FROM up WHERE up.ancestor = c.oid ORDER BY up.depth, up.oid),
    'columns', ${COLUMNS}, 'uniqueKeys', ${UNIQUE_KEYS}, 'foreignKeys', ${foreignKeysSql(serverVersion)},
    'rowTriggers', jsonb_build_object(${triggers}), 'hasRules', c.relhasrules,
    'hasRowSecurity', row_security_active(c.oid), 'isRowSecured', c.relrowsecurity,
    'reachesAll', jsonb_build_object(${reaches.join(', ')}),
    'privileges', ${PRIVILEGES}, 'canUseSchema', has_schema_privilege(s.oid, 'USAGE')
  ) ORDER BY c.oid) FROM tables t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace s ON s.oid = c.relnamespace) AS tables`;
}

type ReadKey = Omit<ForeignKey, 'onDelete' | 'onUpdate'> & { readonly onDelete: string; readonly onUpdate: string };

/** A table as the statement returns it. */
type ReadTable = Omit<CatalogueTable, 'kind' | 'columns' | 'foreignKeys'> & {
  readonly kind: string;
  readonly columns: readonly CatalogueColumn[];
  readonly foreignKeys: readonly ReadKey[];
};

/**
 * Reads what the database says of the tables at these paths (`schema.table`, or `table`, unescaped), and of all that are
 * connected with others by foreign keys. Waits for no lock of a table; one of a mapped view is waited for.
 *
 * @param schemas where names without a schema are looked up; `null`: in the search path of the connection
 * @throws what the database throws
 */
export async function readCatalogue(
  run: RunQuery,
  paths: readonly string[],
  schemas: readonly string[] | null = null,
): Promise<Catalogue> {
  const { serverVersion, stamp } = await readStamp(run);
  const names = paths.map((path) => path.split('.'));
  const [row] = await run(catalogueSql(serverVersion), [
    paths,
    names.map((parts) => parts.at(-2) ?? null),
    names.map((parts) => parts.at(-1)),
    schemas,
  ]);
  const { role, schemas: searched, paths: found, tables } = { ...row };
  return new Catalogue({
    role: String(role),
    serverVersion,
    schemas: searched as readonly string[],
    stamp,
    fingerprint: createHash('sha256')
      .update(JSON.stringify([role, serverVersion, found, tables]))
      .digest('base64url'),
    tables: ((tables ?? []) as readonly ReadTable[]).map(tableOf),
    paths: new Map(Object.entries((found ?? {}) as Record<string, string>)),
  });
}

/** Whether a catalogue would be read alike; costs a third of reading it with 10 tables, a twentieth with 500 (ADR 22). */
export async function isUpToDate(run: RunQuery, { stamp }: Catalogue): Promise<boolean> {
  return (await readStamp(run)).stamp === stamp;
}

/**
 * Every change writes a new version of a row of these, whose `xmin` is another transaction. Temporary tables are left out:
 * they come and go all the time. Memberships and policies decide what the present role may do.
 */
const STAMPED: readonly string[] = [
  `pg_class c WHERE c.oid >= ${FIRST_OF_USERS} AND c.relpersistence <> 't'`,
  `pg_attribute c WHERE c.attrelid >= ${FIRST_OF_USERS} AND NOT EXISTS (SELECT FROM pg_class t WHERE t.oid = c.attrelid AND t.relpersistence = 't')`,
  `pg_attrdef c WHERE NOT EXISTS (SELECT FROM pg_class t WHERE t.oid = c.adrelid AND t.relpersistence = 't')`,
  `pg_constraint c WHERE c.oid >= ${FIRST_OF_USERS}`,
  `pg_index c WHERE c.indrelid >= ${FIRST_OF_USERS} AND NOT EXISTS (SELECT FROM pg_class t WHERE t.oid = c.indrelid AND t.relpersistence = 't')`,
  `pg_trigger c`,
  `pg_inherits c`,
  `pg_namespace c WHERE c.oid >= ${FIRST_OF_USERS} AND c.nspname NOT LIKE 'pg\\_%'`,
  // Not the types of tables, nor those of arrays, which come and go with others.
  `pg_type c JOIN pg_namespace n ON n.oid = c.typnamespace WHERE c.oid >= ${FIRST_OF_USERS} AND c.typtype <> 'c' AND c.typcategory <> 'A' AND n.nspname NOT LIKE 'pg\\_temp%'`,
  `pg_auth_members c`,
  `pg_policy c`,
  `pg_rewrite c WHERE c.oid >= ${FIRST_OF_USERS}`,
];

async function readStamp(run: RunQuery): Promise<{ readonly serverVersion: number; readonly stamp: string }> {
  const sums = STAMPED.map(
    (source) => `(SELECT concat(count(*), ' ', sum(hashint8(c.xmin::text::bigint)::bigint)) FROM ${source})`,
  );
  const [row] = await run(
    `SELECT current_setting('server_version_num') AS version, concat_ws(',', current_user,
       (SELECT concat(r.rolsuper, r.rolbypassrls, r.rolinherit) FROM pg_roles r WHERE r.rolname = current_user), ${sums.join(', ')}) AS stamp`,
    [],
  );
  return { serverVersion: Number(row?.['version']), stamp: String(row?.['stamp']) };
}

function tableOf({ kind, columns, foreignKeys, ...table }: ReadTable): CatalogueTable {
  return {
    ...table,
    kind: KINDS[kind] ?? 'other',
    columns: new Map(columns.map((column) => [column.name, column])),
    foreignKeys: foreignKeys.map((key) => ({
      ...key,
      onDelete: actionOf(key.onDelete),
      onUpdate: actionOf(key.onUpdate),
    })),
  };
}

function actionOf(letter: string): ForeignKeyAction {
  return ACTIONS[letter] ?? 'NO ACTION';
}
