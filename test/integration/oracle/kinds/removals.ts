import { authors, categories, type Row, type Table } from '../tables';
import type { World } from '../world';
import type { Kinds } from './kind';

const isSoft = (table: Table): boolean => table.isSoft;

/** Rows that another write deletes after they were loaded. */
async function gone(world: World, suits?: (table: Table) => boolean): Promise<Row[]> {
  const table = world.source(suits);
  const rows = await world.loadSome(table, 2);
  await world.manager.delete(
    table.entity,
    rows
      .slice(0, 1)
      .map(({ id }) => id)
      .concat(-1),
  );
  return rows;
}

async function twice(work: () => Promise<unknown>): Promise<void> {
  await work();
  await work();
}

export const REMOVALS: Kinds = {
  remove: async (world) => {
    const [row] = await world.loadSome(world.source(), 1);
    if (row !== undefined) await world.manager.remove(row);
  },
  'remove several': async (world) => world.manager.remove(await world.loadSome(world.source(), 2)),
  'remove rows of which one is gone': async (world) => world.manager.remove(await gone(world)),
  'remove loaded twice': async (world) => {
    const table = world.source();
    const ids = await world.some(table, 1);
    const [first, second] = [await world.load(table, ids), await world.load(table, ids)];
    await world.manager.remove(first);
    await world.manager.remove(second);
  },
  'remove with options': async (world) =>
    world.manager.remove(await world.loadSome(world.source(), 2), { listeners: false, transaction: false, chunk: 1 }),
  'soft-remove': async (world) => world.manager.softRemove(await world.loadSome(world.source(isSoft), 2)),
  'soft-remove repeated': async (world) => {
    const rows = await world.loadSome(world.source(isSoft), 2);
    await twice(() => world.manager.softRemove(rows));
  },
  'soft-remove rows of which one is gone': async (world) => world.manager.softRemove(await gone(world, isSoft)),
  'soft-remove with options': async (world) =>
    world.manager.softRemove(await world.loadSome(world.source(isSoft), 3), { listeners: false, chunk: 2 }),
  recover: async (world) => {
    const table = world.source(isSoft);
    await world.manager.recover(await world.load(table, await world.some(table, 2, '"deletedAt" IS NOT NULL')));
  },
  'recover repeated, also what was not deleted': async (world) => {
    const rows = await world.loadSome(world.source(isSoft), 3);
    await twice(() => world.manager.recover(rows));
  },
  'recover rows of which one is gone': async (world) => world.manager.recover(await gone(world, isSoft)),
  'remove a parent with what the database takes along': async (world) => {
    const table = world.random.pick([authors, categories]);
    const ids = await world.ids(table);
    if (ids.length > 3) await world.manager.remove(await world.loadSome(table, 1));
  },
};
