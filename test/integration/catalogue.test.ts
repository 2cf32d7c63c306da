import { Client } from 'pg';

import { type Catalogue } from '../../src/dialects/postgres/catalogue/catalogue';
import { readIdentity } from '../../src/dialects/postgres/catalogue/identity';
import { isUpToDate, readCatalogue, type RunQuery } from '../../src/dialects/postgres/catalogue/read-catalogue';
import { createDatabase, type TestDatabase } from '../support/database';
import { describeVersions } from '../support/versions';

const SCHEMA = `
  CREATE SCHEMA other;
  CREATE TYPE known AS ENUM ('a');
  CREATE TYPE span AS RANGE (subtype = int8);
  CREATE TYPE pair_of AS (a int, b int);
  CREATE DOMAIN short AS text;
  CREATE TABLE author (id serial PRIMARY KEY, code text NOT NULL, part text, UNIQUE (code, part), total int GENERATED ALWAYS AS (id * 2) STORED);
  CREATE UNIQUE INDEX partial ON author (part) WHERE part IS NOT NULL;
  CREATE UNIQUE INDEX lower_code ON author (lower(code));
  CREATE UNIQUE INDEX included ON author (part) INCLUDE (code);
  CREATE TABLE other.author (id int PRIMARY KEY);
  CREATE TABLE post (id serial PRIMARY KEY, "authorId" int REFERENCES author ON DELETE CASCADE ON UPDATE SET NULL, code text, part text,
    FOREIGN KEY (code, part) REFERENCES author (code, part) ON DELETE SET NULL);
  CREATE TABLE "odd ""name" (id int REFERENCES post ON DELETE SET DEFAULT DEFAULT 1);
  CREATE TABLE event (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
  CREATE TABLE child () INHERITS (post);
  CREATE TABLE grandchild () INHERITS (child);
  CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER before BEFORE UPDATE ON author FOR EACH ROW EXECUTE FUNCTION change();
  CREATE TRIGGER off BEFORE INSERT ON author FOR EACH ROW EXECUTE FUNCTION change();
  ALTER TABLE author DISABLE TRIGGER off;
  CREATE VIEW recent AS SELECT * FROM post;
  ALTER TABLE post ENABLE ROW LEVEL SECURITY;
  DROP ROLE IF EXISTS cc_catalogue;
  CREATE ROLE cc_catalogue;
  GRANT SELECT (id), UPDATE (code) ON author TO cc_catalogue;
  GRANT INSERT, DELETE ON post TO cc_catalogue;
`;

const NAMED = ['author', 'other.author', 'post', 'odd "name', 'event_1', 'grandchild', 'recent', 'missing'];

describeVersions('the catalogue', (server) => {
  let database: TestDatabase;
  let client: Client;
  let catalogue: Catalogue;
  const run: RunQuery = async (sql, parameters) =>
    (await client.query<Record<string, unknown>>(sql, [...parameters])).rows;
  const at = (path: string) => {
    const table = catalogue.tableAt(path);
    if (table === undefined) throw new Error(`no table at ${path}`);
    return table;
  };
  const nameOf = (oid: string): string => catalogue.table(oid)?.sql ?? '?';

  beforeAll(async () => {
    database = await createDatabase(server());
    client = new Client({ connectionString: database.url });
    await client.connect();
    await client.query(SCHEMA);
    catalogue = await readCatalogue(run, NAMED);
  });
  afterAll(async () => {
    await client.query('DROP OWNED BY cc_catalogue; DROP ROLE cc_catalogue');
    await client.end();
    await database.drop();
  });

  it('finds tables by their paths, and says where they are', () => {
    expect(NAMED.map((path) => catalogue.tableAt(path)?.sql)).toEqual([
      'public.author',
      'other.author',
      'public.post',
      'public."odd ""name"',
      'public.event_1',
      'public.grandchild',
      'public.recent',
      undefined,
    ]);
  });

  it('knows keys that keep rows apart, without partial indexes and expressions', () => {
    expect(
      at('author')
        .uniqueKeys.map((key) => key.join())
        .toSorted(),
    ).toEqual(['code,part', 'id', 'part']);
  });

  it('knows foreign keys with their actions', () => {
    const keys = catalogue.foreignKeys.map(
      ({ table, columns, referenced, referencedColumns, onDelete, onUpdate, deleteSets }) => [
        `${nameOf(table)} ${columns.join()} -> ${nameOf(referenced)} ${referencedColumns.join()}`,
        onDelete,
        onUpdate,
        deleteSets.join(),
      ],
    );
    expect(keys).toEqual([
      ['public.post authorId -> public.author id', 'CASCADE', 'SET NULL', 'authorId'],
      ['public.post code,part -> public.author code,part', 'SET NULL', 'NO ACTION', 'code,part'],
      ['public."odd ""name" id -> public.post id', 'SET DEFAULT', 'NO ACTION', 'id'],
    ]);
  });

  it('knows which columns SET NULL names', async () => {
    await client.query(
      'CREATE TABLE pair (code text, part text, FOREIGN KEY (code, part) REFERENCES author (code, part) ON DELETE SET NULL (part))',
    );
    const read = await readCatalogue(run, ['pair']);
    expect(read.tableAt('pair')?.foreignKeys.map(({ deleteSets }) => deleteSets)).toEqual([['part']]);
    expect(read.fingerprint).not.toBe(catalogue.fingerprint);
    await client.query('DROP TABLE pair');
    expect((await readCatalogue(run, NAMED)).fingerprint).toBe(catalogue.fingerprint);
  });

  it.each([
    'ALTER TABLE author ADD COLUMN more int',
    'ALTER TABLE author ALTER COLUMN part SET NOT NULL',
    'ALTER TABLE author ALTER COLUMN code SET DEFAULT 1',
    'ALTER TABLE post ADD FOREIGN KEY (id) REFERENCES author',
    'CREATE UNIQUE INDEX ON author (code)',
    'ALTER TABLE author ENABLE TRIGGER off',
    'ALTER TABLE grandchild NO INHERIT child',
    'ALTER SCHEMA other RENAME TO another',
    'CREATE POLICY one ON post USING (true)',
    'GRANT UPDATE ON author TO cc_catalogue',
    'CREATE OR REPLACE VIEW recent AS SELECT * FROM post WHERE id > 1',
    "CREATE TYPE mood AS ENUM ('a')",
    'ALTER TYPE known RENAME TO unknown',
    'ALTER TYPE known SET SCHEMA other',
    'ALTER TYPE span RENAME TO another_span',
    'ALTER TYPE pair_of SET SCHEMA other',
    'ALTER DOMAIN short RENAME TO shorter',
  ])('notices %s', async (sql) => {
    const before = await readCatalogue(run, NAMED);
    expect(await isUpToDate(run, before)).toBe(true);
    await client.query('BEGIN');
    await client.query(sql);
    expect(await isUpToDate(run, before)).toBe(false);
    await client.query('ROLLBACK');
    expect(await isUpToDate(run, before)).toBe(true);
  });

  it('minds no tables of sessions', async () => {
    const before = await readCatalogue(run, NAMED);
    await client.query('CREATE TEMP TABLE passing (id int, mood known)');
    expect(await isUpToDate(run, before)).toBe(true);
    await client.query('CREATE DOMAIN pg_temp.passing_too AS text');
    expect(await isUpToDate(run, before)).toBe(true);
    await client.query('DROP TABLE passing; DROP DOMAIN pg_temp.passing_too');
  });

  it('knows ancestors and descendants', () => {
    expect(at('grandchild').ancestors.map(nameOf)).toEqual(['public.child', 'public.post']);
    expect(at('post').descendants.map(nameOf)).toEqual(['public.child', 'public.grandchild']);
    expect(at('event_1').ancestors.map(nameOf)).toEqual(['public.event']);
    expect([catalogue.table(at('event_1').ancestors[0] ?? '')?.kind, at('recent').kind]).toEqual([
      'partitioned table',
      'view',
    ]);
  });

  it('knows columns, triggers and row security', () => {
    expect(at('author').columns.get('total')).toMatchObject({ type: 'integer', isGenerated: true });
    expect(at('author').columns.get('part')).toMatchObject({ type: 'text', isNullable: true, isGenerated: false });
    expect(at('author').rowTriggers).toEqual({ insert: false, update: true, delete: false });
    // A superuser passes every policy.
    expect(at('post').hasRowSecurity).toBe(false);
  });

  it('cuts names as the database does', async () => {
    const long = 'x'.repeat(70);
    await client.query(`CREATE SCHEMA ${long}; CREATE TABLE ${long}.${long} (id int)`);
    expect((await readCatalogue(run, [`${long}.${long}`])).tableAt(`${long}.${long}`)).toBeDefined();
    await client.query(`DROP SCHEMA ${long} CASCADE`);
  });

  it.each(['RESET ROLE', 'SET ROLE cc_catalogue'])('waits for no lock of a table: %s', async (role) => {
    const other = new Client({ connectionString: database.url });
    await other.connect();
    await other.query(
      `CREATE POLICY open ON post USING (true); CREATE POLICY half ON post FOR INSERT WITH CHECK (id > 1)`,
    );
    await client.query(role);
    const before = await readCatalogue(run, NAMED);
    await other.query('BEGIN; LOCK TABLE author, other.author, post, "odd ""name", event, child, grandchild');
    await client.query("SET statement_timeout = '5s'");
    const read = await readCatalogue(run, NAMED);
    await client.query('RESET ALL; RESET ROLE');
    await other.query('ROLLBACK; DROP POLICY open ON post; DROP POLICY half ON post');
    await other.end();
    expect(read.fingerprint).toBe(before.fingerprint);
    expect(read.tableAt('post')?.reachesAll).toEqual({ select: true, insert: true, update: true, delete: true });
  });

  it('sees with the eyes of the present role', async () => {
    await client.query('SET ROLE cc_catalogue');
    const seen = await readCatalogue(run, NAMED);
    await client.query('RESET ROLE');
    expect(seen.role).toBe('cc_catalogue');
    expect([seen.tableAt('post')?.hasRowSecurity, seen.tableAt('author')?.hasRowSecurity]).toEqual([true, false]);
    expect(seen.tableAt('post')?.privileges).toEqual({
      select: false,
      insert: true,
      update: false,
      delete: true,
      tableOid: false,
    });
    expect(seen.tableAt('author')?.privileges).toEqual({
      select: true,
      insert: false,
      update: true,
      delete: false,
      tableOid: false,
    });
    expect([catalogue.tableAt('post'), catalogue.tableAt('recent')].map((table) => table?.privileges.tableOid)).toEqual(
      [true, false],
    );
    expect(seen.tableAt('author')?.columns.get('id')).toMatchObject({ canSelect: true, canUpdate: false });
    expect(seen.tableAt('author')?.columns.get('code')).toMatchObject({ canSelect: false, canUpdate: true });
  });

  it('tells a database from its copies', async () => {
    const own = await readIdentity(run);
    expect(own.timeline).toBe('00000001');
    expect(own.system).toMatch(/^\d+$/);
    await client.query('SET ROLE cc_catalogue');
    expect(await readIdentity(run)).toEqual(own);
    await client.query('RESET ROLE');
    const other = await createDatabase(server());
    const client2 = new Client({ connectionString: other.url });
    await client2.connect();
    const copy = await readIdentity(
      async (sql, parameters) => (await client2.query<Record<string, unknown>>(sql, [...parameters])).rows,
    );
    await client2.end();
    await other.drop();
    expect({ ...copy, database: own.database }).toEqual(own);
    expect(copy.database).not.toBe(own.database);
  });
});
