import { randomBytes } from 'node:crypto';

import type { Client } from 'pg';
import type { EntityManager } from 'typeorm';
import { CounterCacheError } from 'typeorm-counter-cache';

import { execute } from '../../../support/database';
import type { Kinds } from '../kinds/kind';
import type { Random } from '../random';
import { attachments, authors, categories, comments, nodes, type Parent, posts, type Table } from '../tables';
import { ABSENT, type World } from '../world';
import { type Ground, isAlone, type Place, type Setting, type Surroundings, type Writer } from './setting';

const TENANTS = ['a', 'b'] as const;

const TABLES = ['author', 'category', 'tag', 'post', 'comment', 'attachment', 'like', 'node', 'post_tags_tag'] as const;

/** Every row belongs to somebody, whether its table has a policy or not. The entities know nothing of it. */
const BELONGS = `tenant text NOT NULL DEFAULT COALESCE(NULLIF(current_setting('app.tenant', true), ''), 'a')`;

const OWN = `tenant = current_setting('app.tenant', true)`;

/** What a policy lets a tenant do with rows of others. */
const POLICIES = {
  'nothing of others': (table: string) => [`CREATE POLICY own ON ${table} USING (${OWN})`],
  'sees all, changes its own': (table: string) => [
    `CREATE POLICY seen ON ${table} FOR SELECT USING (true)`,
    `CREATE POLICY added ON ${table} FOR INSERT WITH CHECK (${OWN})`,
    `CREATE POLICY changed ON ${table} FOR UPDATE USING (${OWN})`,
    `CREATE POLICY deleted ON ${table} FOR DELETE USING (${OWN})`,
  ],
  'gives rows away': (table: string) => [`CREATE POLICY own ON ${table} USING (${OWN}) WITH CHECK (true)`],
} as const;

type Role = 'writer' | 'worker';

/** Each role is of one database: roles outlive it. */
const roleOf = (role: Role, databaseUrl: string): string => `${role}_of_${new URL(databaseUrl).pathname.slice(1)}`;

/** Some tables get policies: of sources, of targets, of intermediate rows, and never the same. */
async function protect({ sql, random, note }: Ground): Promise<void> {
  for (const name of TABLES) {
    const table = `"${name}"`;
    await sql.query(`ALTER TABLE ${table} ADD COLUMN ${BELONGS}`);
    const policy = random.pick([null, ...Object.keys(POLICIES)] as (keyof typeof POLICIES | null)[]);
    note(`policy on ${name}: ${policy ?? 'none'}`);
    if (policy === null) continue;
    await sql.query(`ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`);
    for (const statement of POLICIES[policy](table)) await sql.query(statement);
  }
}

/** A role that owns nothing, and its URL; that of a worker bypasses the policies. */
async function createRole(of: Role, sql: Client, databaseUrl: string): Promise<string> {
  const [role, password] = [roleOf(of, databaseUrl), randomBytes(9).toString('hex')];
  await sql.query(`CREATE ROLE ${role} LOGIN ${of === 'worker' ? 'BYPASSRLS' : ''} PASSWORD '${password}'`);
  await sql.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`);
  await sql.query(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ${role}`);
  const url = new URL(databaseUrl);
  [url.username, url.password] = [role, password];
  return url.href;
}

interface Family {
  readonly children: Table;
  readonly link: Parent;
}

const FAMILIES: readonly Family[] = [posts, comments, attachments, nodes].flatMap((children) =>
  children.parents.map((link) => ({ children, link })),
);

/** What the superuser sees, or does, beside the writers. */
class Administrator {
  readonly #sql: Client;

  constructor(sql: Client) {
    this.#sql = sql;
  }

  async ids(world: World, { name }: Table, count: number, where = 'TRUE'): Promise<number[]> {
    const { rows } = await this.#sql.query<{ id: number }>(`SELECT id FROM "${name}" WHERE ${where} ORDER BY id`);
    const ids = world.random.sample(rows, count).map(({ id }) => id);
    world.note(name, ids);
    return ids;
  }

  /** Rows that the present operation holds stay where they are: nobody could wait for it. */
  async handOver(world: World, { name }: Table): Promise<void> {
    const tenant = world.random.pick(TENANTS);
    world.note(name, '→', tenant);
    await this.#sql.query(
      `UPDATE "${name}" SET tenant = $1 WHERE id IN (SELECT id FROM "${name}" WHERE id % 3 = $2 FOR UPDATE SKIP LOCKED)`,
      [tenant, world.random.below(3)],
    );
  }
}

/** What a worker does with what waits. */
async function work(world: World, { counters }: Writer): Promise<void> {
  const does = world.random.pick(['flush', 'recalculate', 'startWorker'] as const);
  world.note(does);
  if (does === 'startWorker') await (await counters?.startWorker())?.close();
  else await counters?.[does]();
}

/** A process that does not see all may refuse, and must not guess. */
async function asWorker(world: World, place: Place, writers: readonly Writer[]): Promise<void> {
  const writer = writers.find(({ dataSource }) => dataSource === world.manager.dataSource);
  if (!isAlone(world.manager) || writer === undefined) return;
  try {
    await work(world, writer);
  } catch (error) {
    if (!(error instanceof CounterCacheError)) throw error;
    world.note('refused:', error.code);
    place.tally.add(`refused to a process that does not see all: ${error.code}`);
  }
}

/** A process that sees all is refused nothing. */
async function asSeeing(world: World, worker: Writer): Promise<void> {
  if (!isAlone(world.manager)) return;
  try {
    await work(world, worker);
  } catch (error) {
    throw new Error(`refused though it bypasses row security: ${String(error)}`, { cause: error });
  }
}

function writesOf(place: Place, writers: readonly Writer[], worker: Writer): Kinds {
  const administrator = new Administrator(place.sql);
  return {
    'row security: a child of a parent that may be hidden': async (world) => {
      const { children, link } = world.random.pick(FAMILIES);
      const [id = ABSENT] = await administrator.ids(world, link.table, 1);
      await world.manager.insert(children.entity, { ...(await world.fresh(children)), ...refer(link, id) });
    },
    'row security: move to a parent that may be hidden': async (world) => {
      const { children, link } = world.random.pick(FAMILIES);
      const [id = ABSENT] = await administrator.ids(world, link.table, 1);
      const moved = await world.some(children, 2);
      await world.manager.update(children.entity, moved.length > 0 ? moved : [ABSENT], refer(link, id));
    },
    'row security: delete what hidden rows refer to': async (world) => {
      const { children, link } = world.random.pick(FAMILIES);
      const { name } = link.table;
      const isReferred = `EXISTS (SELECT FROM "${children.name}" c WHERE c."${link.key}" = "${name}".id AND c.tenant <> "${name}".tenant)`;
      const ids = await administrator.ids(world, link.table, 1, isReferred);
      await world.manager.delete(link.table.entity, ids.length > 0 ? ids : [ABSENT]);
    },
    'row security: update or delete by a key that may be hidden': async (world) => {
      const table = world.source();
      const ids = await administrator.ids(world, table, 2);
      const criteria = ids.length > 0 ? ids : [ABSENT];
      if (world.random.chance(0.5)) await world.manager.delete(table.entity, criteria);
      else await world.manager.update(table.entity, criteria, await world.patch(table));
    },
    'row security: another tenant for the rest of the transaction': async (world) => {
      await setTenant(world.manager, world.random, (text) => world.note(text));
    },
    'row security: rows are handed over': async (world) => {
      for (const table of [authors, categories, posts, comments]) await administrator.handOver(world, table);
    },
    'row security: a writer does what a worker does': (world) => asWorker(world, place, writers),
    'row security: a worker that bypasses it': (world) => asSeeing(world, worker),
  };
}

/** Sets a relation by the key. */
function refer({ relation, column }: Parent, id: number): object {
  return column === null ? { [relation]: { id } } : { [column]: id };
}

async function setTenant(manager: EntityManager, random: Random, note: (text: string) => void): Promise<void> {
  const statement = `SELECT set_config('app.tenant', '${random.pick(TENANTS)}', true)`;
  note(statement);
  await manager.query(statement);
}

async function open(place: Place): Promise<Partial<Surroundings>> {
  const { sql, random, fixture } = place;
  for (const name of TABLES) {
    const remainder = random.below(2);
    await sql.query(`UPDATE "${name}" SET tenant = 'b' WHERE hashtext("${name}"::text) & 1 = ${remainder}`);
  }
  const url = await createRole('writer', sql, fixture.databaseUrl);
  const worker = await place.attach(await createRole('worker', sql, fixture.databaseUrl), '');
  const writers: Writer[] = [];
  for (const tenant of TENANTS)
    writers.push({ ...(await place.attach(url, `-c app.tenant=${tenant}`)), name: `tenant ${tenant}` });
  return {
    writers,
    writes: writesOf(place, writers, worker),
    mayRefuse: () => true,
    // What may be hidden between sources and targets is recounted.
    mayReport: ['NOT_PERMITTED'],
    async close() {
      for (const { counters, dataSource } of [...writers, worker]) {
        await counters?.close();
        await dataSource.destroy();
      }
    },
  };
}

/** Writers see the rows of their tenant, the process that applies and recounts sees all. */
export const ROW_SECURITY: Setting = {
  name: 'row-security',
  // What a policy or a missing privilege refuses; and a row that was handed over since the transaction began.
  refusals: ['42501', '40001'],
  arrange: protect,
  open,
  async clean(server, databaseUrl) {
    for (const role of ['writer', 'worker'] as const)
      await execute(server, `DROP ROLE IF EXISTS ${roleOf(role, databaseUrl)}`);
  },
};
