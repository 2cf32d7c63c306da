import type { EntityManager } from 'typeorm';

import { type Kinds } from '../kinds/kind';
import { STATEMENTS } from '../kinds';
import type { Random } from '../random';
import type { World } from '../world';
import { isAlone, type Place, type Setting, type Surroundings } from './setting';

/** Beside `public`. Their rows of the beginning have the keys of those in `public`. */
const OTHERS = ['one', 'two'] as const;

/** Paths on which the tables of the entities are not the first. */
const ELSEWHERE = ['one', 'two', '"one", public', 'two,public', 'one, two'] as const;

/** Paths on which they are. */
const AT_HOME = ['public', 'public, one', '"$user", public, two'] as const;

const CONSTRAINTS = `SELECT conrelid::regclass::text AS table, quote_ident(conname) AS name, pg_get_constraintdef(oid) AS definition
  FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace ORDER BY 1, 2`;

/** Tables of the entities: those of the library stay where they are. */
const TABLES = `SELECT quote_ident(tablename) AS name FROM pg_tables
  WHERE schemaname = 'public' AND tablename NOT LIKE 'counter_cache%' AND tablename <> 'typeorm_metadata' ORDER BY 1`;

/** The tables of `public` once more, with their constraints and their rows. */
async function copyInto(schema: string, { sql }: Pick<Place, 'sql'>): Promise<void> {
  const tables = (await sql.query<{ name: string }>(TABLES)).rows.map(({ name }) => name);
  const constraints = (await sql.query<{ table: string; name: string; definition: string }>(CONSTRAINTS)).rows;
  await sql.query(`CREATE SCHEMA ${schema}`);
  for (const table of tables) {
    await sql.query(`CREATE TABLE ${schema}.${table} (LIKE public.${table} INCLUDING ALL)`);
    await sql.query(`INSERT INTO ${schema}.${table} SELECT * FROM public.${table}`);
  }
  await sql.query(`SET search_path TO ${schema}`);
  for (const { table, name, definition } of constraints)
    if (tables.includes(table)) await sql.query(`ALTER TABLE ${table} ADD CONSTRAINT ${name} ${definition}`);
  await sql.query('RESET search_path');
}

/** The path of the present operation. */
class Path {
  isElsewhere = false;
  /** One operation at a time: otherwise nobody can tell whose path it is. */
  isAlone = false;

  choose(random: Random): string {
    const isHome = random.chance(0.2);
    if (!isHome) this.isElsewhere = true;
    return random.pick(isHome ? AT_HOME : ELSEWHERE);
  }
}

/** Some statement that begins no transaction of its own. */
async function anyStatement(world: World): Promise<void> {
  const name = world.random.pick(Object.keys(STATEMENTS));
  world.note(`[${name}]`);
  await STATEMENTS[name]?.(world);
}

/** The statements that set the path for a transaction. */
function setLocal(path: string, random: Random): string {
  return random.chance(0.7) ? `SET LOCAL search_path TO ${path}` : `SELECT set_config('search_path', '${path}', true)`;
}

function writesOf(current: Path): Kinds {
  return {
    'search path: set for the rest of the transaction': async (world) => {
      if (isAlone(world.manager)) return anyStatement(world);
      const statement = setLocal(current.choose(world.random), world.random);
      world.note(statement);
      await world.manager.query(statement);
      await anyStatement(world);
    },
    'search path: of one transaction': async (world) => {
      await world.manager.transaction(async (manager) => {
        const statement = setLocal(current.choose(world.random), world.random);
        world.note(statement);
        await manager.query(statement);
        await anyStatement(world.within(manager));
      });
    },
    'search path: taken back with a savepoint, or by a second SET': async (world) => {
      await world.manager.transaction(async (manager) => {
        const path = current.choose(world.random);
        world.note(path);
        await manager.query('SAVEPOINT "before the path"');
        await manager.query(`SET LOCAL search_path TO ${path}`);
        await manager.query(world.random.pick(['ROLLBACK TO "before the path"', 'SET LOCAL search_path TO DEFAULT']));
        // Nothing is elsewhere any more: a refusal would be wrong.
        if (isAlone(world.manager)) current.isElsewhere = false;
        await anyStatement(world.within(manager));
      });
    },
    'search path: of the session': async (world) => {
      if (!isAlone(world.manager)) return anyStatement(world);
      const path = current.choose(world.random);
      world.note(path);
      await onRunner(world, async (manager) => {
        await manager.query(`SET search_path TO ${path}`);
        try {
          await anyStatement(world.within(manager));
        } finally {
          await manager.query('RESET search_path');
        }
      });
    },
    'search path: hidden by a temporary table': async (world) => {
      const table = world.source().name;
      current.isElsewhere = true;
      await world.manager.transaction(async (manager) => {
        await manager.query(
          `CREATE TEMPORARY TABLE IF NOT EXISTS "${table}" (LIKE public."${table}" INCLUDING ALL) ON COMMIT DROP`,
        );
        await anyStatement(world.within(manager));
      });
    },
  };
}

async function onRunner(world: World, work: (manager: EntityManager) => Promise<void>): Promise<void> {
  const runner = world.manager.dataSource.createQueryRunner();
  try {
    await work(runner.manager);
  } finally {
    await runner.release();
  }
}

async function open(place: Place): Promise<Partial<Surroundings>> {
  // What is copied must be right.
  await place.fixture.counters.recalculate();
  for (const schema of OTHERS) await copyInto(schema, place);
  const current = new Path();
  return {
    schemas: ['public', ...OTHERS],
    writes: writesOf(current),
    async beforeOperation() {
      current.isElsewhere = false;
      current.isAlone = true;
    },
    async onBegin(manager, random) {
      if (random.chance(0.6)) return null;
      const statement = setLocal(current.choose(random), random);
      await manager.query(statement);
      return statement;
    },
    mayRefuse: () => !current.isAlone || current.isElsewhere,
  };
}

/** The same tables in several schemas, chosen by each transaction: what is counted on a row is what is in its schema. */
export const SEARCH_PATHS: Setting = { name: 'search-paths', open };
