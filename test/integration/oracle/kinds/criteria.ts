import { In, LessThan, MoreThan } from 'typeorm';

import { Like } from '../schema';
import { attachments, authors, categories, comments, likes, nodes, posts, type Table, type Values } from '../tables';
import { ABSENT, type World } from '../world';
import type { Kinds } from './kind';

const isSoft = (table: Table): boolean => table.isSoft;

/** Conditions that some rows meet: by parent, by amount, by key. */
async function several(world: World, table: Table): Promise<object> {
  const conditions: (() => Promise<object>)[] = [
    async () => ({ id: In(await world.some(table, 3)) }),
    async () => ({ [String(table.amount)]: MoreThan(14) }),
    async () => ({ [String(table.amount)]: LessThan(3), id: MoreThan(5) }),
    ...table.parents.map((parent) => async () => {
      const [id = ABSENT] = await world.parents(table, parent, 1);
      return { [parent.relation]: { id } };
    }),
  ];
  return world.random.pick(conditions)();
}

async function updateSeveral(world: World, table: Table, values: Values): Promise<void> {
  await world.manager.update(table.entity, await several(world, table), values);
}

async function increase(world: World, way: 'increment' | 'decrement'): Promise<void> {
  const table = world.source();
  const criteria = await several(world, table);
  await world.manager[way](table.entity, criteria, String(table.amount), 1 + world.random.below(12));
}

/** Keeps some rows of each table, or nothing would ever be counted. */
async function deleteTarget(world: World, table: Table, count: number): Promise<void> {
  const ids = await world.ids(table);
  const doomed = ids.length > 2 ? await world.some(table, count) : [];
  // TypeORM refuses an empty list; other clients may have left no row.
  await world.manager.delete(table.entity, doomed.length > 0 ? doomed : [ABSENT]);
}

export const CRITERIA: Kinds = {
  'update by id': async (world) => {
    const table = world.source();
    await world.manager.update(table.entity, await world.id(table), await world.patch(table));
  },
  'update by ids': async (world) => {
    const table = world.source();
    await world.manager.update(table.entity, [...(await world.some(table, 3)), ABSENT], await world.patch(table));
  },
  'update by criteria: several': async (world) => {
    const table = world.source();
    await updateSeveral(world, table, await world.patch(table));
  },
  'update by criteria: none': async (world) => {
    const table = world.source();
    await world.manager.update(table.entity, { id: ABSENT }, await world.patch(table));
  },
  'update with an SQL function': async (world) => {
    const table = world.source();
    const amount = String(table.amount);
    await updateSeveral(world, table, { [amount]: () => `"${amount}" + 3` });
  },
  'update sets deletedAt': async (world) => {
    const table = world.source(isSoft);
    await updateSeveral(world, table, { deletedAt: new Date(0) });
  },
  'update unsets deletedAt': async (world) => {
    const table = world.source(isSoft);
    await updateSeveral(world, table, { deletedAt: null });
  },
  'update all': async (world) => {
    const table = world.source();
    await world.manager.updateAll(table.entity, await world.patch(table));
  },
  'update turns types': async (world) => {
    const likeableType = world.random.pick(['post', 'comment', 'page']);
    await world.manager.update(Like, { likeableType, amount: MoreThan(9) }, await world.likeable());
  },
  'delete by id': async (world) => {
    const table = world.source();
    await world.manager.delete(table.entity, await world.id(table));
  },
  'delete by ids': async (world) => {
    const table = world.source();
    await world.manager.delete(table.entity, [...(await world.some(table, 2)), ABSENT]);
  },
  'delete by criteria: several': async (world) => {
    const table = world.source();
    await world.manager.delete(table.entity, await several(world, table));
  },
  'delete by criteria: none': async (world) => {
    await world.manager.delete(world.source().entity, { id: ABSENT });
  },
  'delete all': async (world) => world.manager.deleteAll(world.random.pick([likes, nodes, attachments]).entity),
  'delete an author': (world) => deleteTarget(world, authors, 1),
  'delete categories': (world) => deleteTarget(world, categories, 2),
  'delete posts with children': (world) => deleteTarget(world, posts, 3),
  'delete comments with likes': (world) => deleteTarget(world, comments, 3),
  'soft-delete by id': async (world) => {
    const table = world.source(isSoft);
    await world.manager.softDelete(table.entity, await world.id(table));
  },
  'soft-delete by ids': async (world) => {
    const table = world.source(isSoft);
    await world.manager.softDelete(table.entity, [...(await world.some(table, 3)), ABSENT]);
  },
  'soft-delete by criteria: several': async (world) => {
    const table = world.source(isSoft);
    await world.manager.softDelete(table.entity, await several(world, table));
  },
  'soft-delete by criteria: none': async (world) =>
    world.manager.softDelete(world.source(isSoft).entity, { id: ABSENT }),
  'restore by id': async (world) => {
    const table = world.source(isSoft);
    const [id = ABSENT] = await world.some(table, 1, '"deletedAt" IS NOT NULL');
    await world.manager.restore(table.entity, id);
  },
  'restore by ids': async (world) => {
    const table = world.source(isSoft);
    const ids = [...(await world.some(table, 2)), ...(await world.some(table, 3, '"deletedAt" IS NOT NULL')), ABSENT];
    await world.manager.restore(table.entity, ids);
  },
  'restore by criteria: several': async (world) => {
    const table = world.source(isSoft);
    await world.manager.restore(table.entity, await several(world, table));
  },
  increment: (world) => increase(world, 'increment'),
  decrement: (world) => increase(world, 'decrement'),
};
