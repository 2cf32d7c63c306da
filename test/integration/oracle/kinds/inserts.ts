import { In, type InsertQueryBuilder } from 'typeorm';

import {
  attachments,
  authors,
  categories,
  comments,
  likes,
  nodes,
  posts,
  type Row,
  type Table,
  type Values,
} from '../tables';
import type { World } from '../world';
import type { Kinds } from './kind';

const hasUnique = (table: Table): boolean => table.unique !== null;

function insertInto(world: World, table: Table, rows: Values | Values[]): InsertQueryBuilder<Row> {
  return world.manager.createQueryBuilder().insert().into(table.entity).values(rows);
}

/** A table with a unique property, and new rows with these values of it. */
async function withUnique(world: World, choose: (taken: string[], fresh: string[]) => string[]) {
  const table = world.random.chance(0.1) ? authors : world.source(hasUnique);
  const taken = await world.taken(table);
  const values = Array.from({ length: 40 }, (_, i) => `u${i}`).filter((value) => !taken.includes(value));
  const rows: Values[] = [];
  const unique = String(table.unique);
  for (const value of choose(world.random.shuffled(taken), world.random.shuffled(values)))
    rows.push({ ...(await world.fresh(table)), [unique]: value });
  if (rows.length === 0) rows.push(await world.fresh(table));
  world.note(valuesOf(rows, unique));
  return { table, unique, rows };
}

async function insertWithKey(world: World, table: Table, id: number): Promise<void> {
  const parents = table.parents.map(({ relation, column }) => column ?? `${relation}.id`);
  const columns = [...parents, ...(table.links?.columns ?? [])];
  const row: Values = { ...(await world.fresh(table)), id };
  world.note({ id });
  // TypeORM writes the key of a generated column only when the column is named.
  const insert = world.manager
    .createQueryBuilder()
    .insert()
    .into(table.entity, ['id', ...columns, String(table.amount)]);
  await insert.values(row).execute();
}

const valuesOf = (rows: readonly Values[], property: string): unknown[] => rows.map((row) => row[property] as unknown);

const mixed = (taken: string[], fresh: string[]): string[] => [...taken.slice(0, 2), ...fresh.slice(0, 2)];

/** Database columns that an upsert overwrites: those beside the unique one. */
function overwritten(world: World, table: Table, unique: string): string[] {
  const columns = table.name === 'like' ? ['likeableType', 'likeableId'] : Object.keys(table.columns);
  if (table.name === 'post') columns.push('authorId', 'categoryId');
  columns.push(...(table.links?.columns ?? []));
  if (table.amount !== null) columns.push(table.amount);
  return world.random.sample(columns, 1 + world.random.below(columns.length)).filter((column) => column !== unique);
}

// In a select of an insert all expressions are SQL: TypeORM would put columns of the entity first.

export const INSERTS: Kinds = {
  insert: async (world) => {
    const table = world.source();
    await world.manager.insert(table.entity, await world.fresh(table));
  },
  'insert many': async (world) => {
    const table = world.source();
    await world.manager.insert(table.entity, await world.freshRows(table, 3 + world.random.below(5)));
  },
  'insert by query builder, returning *': async (world) => {
    const table = world.source();
    await insertInto(world, table, await world.freshRows(table, 2))
      .returning('*')
      .execute();
  },
  'insert by query builder, without updateEntity': async (world) => {
    const table = world.source();
    await insertInto(world, table, await world.freshRows(table, 2))
      .updateEntity(false)
      .execute();
  },
  'insert or ignore': async (world) => {
    const { table, rows } = await withUnique(world, mixed);
    await insertInto(world, table, rows).orIgnore().execute();
  },
  'insert or update': async (world) => {
    const { table, rows, unique } = await withUnique(world, mixed);
    await insertInto(world, table, rows)
      .orUpdate(overwritten(world, table, unique), [unique])
      .execute();
  },
  'insert or update, returning *': async (world) => {
    const { table, rows, unique } = await withUnique(world, mixed);
    const insert = insertInto(world, table, rows).orUpdate(overwritten(world, table, unique), [unique]);
    await insert.returning('*').execute();
  },
  'insert or update, unless nothing changes': async (world) => {
    const { table, rows, unique } = await withUnique(world, mixed);
    const options = { skipUpdateIfNoValuesChanged: true };
    await insertInto(world, table, rows)
      .orUpdate(overwritten(world, table, unique), [unique], options)
      .execute();
  },
  'insert or update where': async (world) => {
    const { table, rows, unique } = await withUnique(world, mixed);
    const overwriteCondition = { where: `"${table.name}".id % 2 = :odd`, parameters: { odd: world.random.below(2) } };
    const overwrite = overwritten(world, table, unique);
    await insertInto(world, table, rows).orUpdate(overwrite, [unique], { overwriteCondition }).execute();
  },
  'upsert new': async (world) => {
    const { table, rows, unique } = await withUnique(world, (_, fresh) => fresh.slice(0, 2));
    await world.manager.upsert(table.entity, rows, [unique]);
  },
  'upsert existing': async (world) => {
    const { table, rows, unique } = await withUnique(world, (taken) => taken.slice(0, 3));
    await world.manager.upsert(table.entity, rows, [unique]);
  },
  'upsert new and existing': async (world) => {
    const { table, rows, unique } = await withUnique(world, mixed);
    await world.manager.upsert(table.entity, rows, [unique]);
  },
  'upsert unless nothing changes': async (world) => {
    const { table, unique, rows } = await withUnique(world, (taken) => taken.slice(0, 2));
    const same = await world.manager.findBy(table.entity, { [unique]: In(valuesOf(rows, unique)) });
    const unchanged = same.map((row) =>
      Object.fromEntries(['id', ...Object.keys(table.columns), unique].map((p) => [p, row[p]])),
    );
    const given = world.random.chance(0.5) && unchanged.length > 0 ? unchanged : rows;
    await world.manager.upsert(table.entity, given, { conflictPaths: [unique], skipUpdateIfNoValuesChanged: true });
  },
  'upsert by primary key': async (world) => {
    const table = world.random.pick([categories, categories, likes, likes, world.source()]);
    const rows: Values[] = [await world.fresh(table)];
    for (const id of await world.some(table, 2)) rows.push({ ...(await world.fresh(table)), id });
    await world.manager.upsert(table.entity, rows, ['id']);
  },
  'insert with a chosen key': async (world) => insertWithKey(world, world.source(), world.chooseKey()),
  'insert a row that likes wait for': async (world) => {
    const table = world.random.pick([posts, comments]);
    const ids: { id: number }[] = await world.manager.query(
      `SELECT DISTINCT "likeableId" AS id FROM "like" WHERE "likeableType" = $1 AND "likeableId" NOT IN (SELECT id FROM "${table.name}") ORDER BY 1`,
      [table.name],
    );
    await insertWithKey(world, table, world.random.sample(ids, 1)[0]?.id ?? world.chooseKey());
  },
  'insert a copy of a parent': async (world) => {
    const [row] = await world.loadSome(authors, 1);
    if (row === undefined) return;
    const { id: _, email: __, ...copy } = row;
    await world.manager.insert(authors.entity, copy);
  },
  'insert from a select: likes': async (world) => {
    const ids = await world.some(comments, 4);
    const first = world.chooseKey(5);
    await world.manager
      .createQueryBuilder()
      .insert()
      .into(likes.entity, ['id', 'likeableType', 'likeableId', 'amount'])
      .valuesFromSelect((query) =>
        query
          .select(`row_number() OVER (ORDER BY c.id) + ${first}`)
          .addSelect("CAST('comment' AS text)")
          .addSelect('CAST(c.id AS int)')
          .addSelect('CAST(c.amount AS int)')
          .from(comments.entity, 'c')
          .where('c.id = ANY(:ids)', { ids }),
      )
      .execute();
  },
  'insert from a select: attachments': async (world) => {
    const postId = await world.id(posts);
    await world.manager
      .createQueryBuilder()
      .insert()
      .into(attachments.entity, ['amount', 'deletedAt', 'post.id'])
      .valuesFromSelect((query) =>
        query
          .select('CAST(a.amount AS int)')
          .addSelect('CAST(a."deletedAt" AS timestamptz)')
          .addSelect(`CAST(${postId} AS int)`)
          .from(attachments.entity, 'a')
          .withDeleted()
          .where('a.id % 5 = :rest', { rest: world.random.below(5) })
          .limit(3),
      )
      .execute();
  },
  'insert from a select: targets': async (world) => {
    const table = world.random.pick([nodes, comments]);
    const [column, path] = table === nodes ? ['parentId', 'parentId'] : ['postId', 'post.id'];
    const ids = await world.some(table, 3);
    await world.manager
      .createQueryBuilder()
      .insert()
      .into(table.entity, ['amount', path])
      .valuesFromSelect((query) =>
        query
          .select('CAST(s.amount AS int)')
          .addSelect(`CAST(s."${column}" AS int)`)
          .from(table.entity, 's')
          .where('s.id = ANY(:ids)', { ids }),
      )
      .execute();
  },
};
