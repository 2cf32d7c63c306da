import type { UpdateQueryBuilder } from 'typeorm';

import { posts, type Row, type Table, type Values } from '../tables';
import { ABSENT, type World } from '../world';
import type { Kinds } from './kind';

const isSoft = (table: Table): boolean => table.isSoft;
const hasInverse = (table: Table): boolean => table.parents.some(({ inverse }) => inverse !== null);

/** A condition that a part of the rows meets, with its parameters. */
function part(world: World, of = 4): [string, Values] {
  return ['id % :of = :rest', { of, rest: world.random.below(of) }];
}

function update(world: World, table: Table, values: Values): UpdateQueryBuilder<Row> {
  return world.manager
    .createQueryBuilder()
    .update(table.entity)
    .set(values)
    .where(...part(world));
}

/** A many-to-one relation, some rows, and another parent for them. */
async function relation(world: World, suits?: (table: Table) => boolean) {
  const table = world.source(suits);
  const parents = table.parents.filter(({ inverse }) => suits === undefined || inverse !== null);
  const parent = world.random.pick(parents);
  return { table, parent, ids: await world.some(table, 2), to: await world.maybe(parent.table) };
}

export const BUILDERS: Kinds = {
  'query builder: update': async (world) => {
    const table = world.source();
    await update(world, table, await world.patch(table)).execute();
  },
  'query builder: update with SQL functions': async (world) => {
    const table = world.source();
    const amount = String(table.amount);
    const values: Values = { [amount]: () => `"${amount}" * 2 - 3` };
    if (table === posts) values['status'] = () => `CASE status WHEN 'draft' THEN 'live' ELSE 'draft' END`;
    await update(world, table, values).execute();
  },
  'query builder: update moves by an SQL function': async (world) => {
    await update(world, posts, { authorId: () => `(SELECT min(id) FROM "author" WHERE id > "authorId")` }).execute();
  },
  'query builder: update, returning *': async (world) => {
    const table = world.source();
    await update(world, table, await world.patch(table))
      .returning('*')
      .execute();
  },
  'query builder: update an entity': async (world) => {
    const table = world.source();
    const [row] = await world.loadSome(table, 1);
    if (row === undefined) return;
    const values = await world.patch(table);
    await world.manager.createQueryBuilder().update(table.entity).set(values).whereEntity(row).execute();
  },
  'query builder: delete': async (world) => {
    const table = world.source();
    await world.manager
      .createQueryBuilder()
      .delete()
      .from(table.entity)
      .where(...part(world))
      .execute();
  },
  'query builder: delete, returning *': async (world) => {
    const table = world.source();
    const builder = world.manager.createQueryBuilder().delete().from(table.entity);
    await builder
      .where(...part(world, 7))
      .returning('*')
      .execute();
  },
  'query builder: delete where a subquery': async (world) => {
    await world.manager
      .createQueryBuilder()
      .delete()
      .from(posts.entity)
      .where(`"authorId" IN (SELECT id FROM "author" WHERE id % 6 = :rest)`, { rest: world.random.below(6) })
      .execute();
  },
  'query builder: soft-delete': async (world) => {
    const builder = world.manager.createQueryBuilder().softDelete().from(world.source(isSoft).entity);
    await builder.where(...part(world)).execute();
  },
  'query builder: soft-delete, returning *': async (world) => {
    const builder = world.manager.createQueryBuilder().softDelete().from(world.source(isSoft).entity);
    await builder
      .where(...part(world))
      .returning('*')
      .execute();
  },
  'query builder: restore': async (world) => {
    const builder = world.manager.createQueryBuilder().restore().from(world.source(isSoft).entity);
    await builder.where(...part(world, 2)).execute();
  },
  'query builder: restore, returning *': async (world) => {
    const builder = world.manager.createQueryBuilder().restore().from(world.source(isSoft).entity);
    await builder
      .where(...part(world))
      .returning('*')
      .execute();
  },
  'query builder: one executed twice': async (world) => {
    const table = world.source();
    const builder = update(world, table, { [String(table.amount)]: () => `"${table.amount}" + 1` });
    await builder.execute();
    await builder.execute();
  },
  'relation: set': async (world) => {
    const { table, parent, ids, to } = await relation(world, hasInverse);
    const builder = world.manager.createQueryBuilder().relation(table.entity, parent.relation);
    if (ids.length > 0) await builder.of(ids).set(to);
  },
  'relation: set null': async (world) => {
    const { table, parent, ids } = await relation(world, hasInverse);
    const builder = world.manager.createQueryBuilder().relation(table.entity, parent.relation);
    if (ids.length > 0) await builder.of(ids).set(null);
  },
  'relation: add': async (world) => {
    const { parent, ids, to } = await relation(world, hasInverse);
    const builder = world.manager.createQueryBuilder().relation(parent.table.entity, String(parent.inverse));
    if (ids.length > 0) await builder.of(to ?? ABSENT).add(ids);
  },
  'relation: remove': async (world) => {
    const { table, parent } = await relation(world, hasInverse);
    const [id] = await world.parents(table, parent, 1);
    if (id === undefined) return;
    const children = await world.some(table, 2, `"${parent.key}" = ${id}`);
    const builder = world.manager.createQueryBuilder().relation(parent.table.entity, String(parent.inverse));
    await builder.of(id).remove(children);
  },
};
