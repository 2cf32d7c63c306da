import type { SaveOptions } from 'typeorm';

import {
  authors,
  categories,
  comments,
  likes,
  type Parent,
  posts,
  type Row,
  type Table,
  TARGETS,
  type Values,
} from '../tables';
import { ABSENT, type World } from '../world';
import type { Kinds } from './kind';

const hasParents = (table: Table): boolean => table.parents.length > 0;
const isSoft = (table: Table): boolean => table.isSoft;

/** New and changed rows in one call. */
async function saveMixed(world: World, options: SaveOptions): Promise<void> {
  const table = world.source();
  const changed = await world.loadSome(table, 3);
  for (const row of changed) Object.assign(row, await world.patch(table));
  const rows = [...changed, await world.create(table), await world.create(table)];
  await world.manager.save(world.random.shuffled(rows), options);
}

/** A row loaded with a relation; `change` gets the key of another parent. */
async function reparent(
  world: World,
  change: (row: Row, parent: Parent, id: number | null) => object,
  suits: (parent: Parent) => boolean = () => true,
): Promise<void> {
  const table = world.source((candidate) => candidate.parents.some(suits));
  const parent = world.random.pick(table.parents.filter(suits));
  const [row = { id: ABSENT }] = await world.loadSome(table, 1, { [parent.relation]: true });
  const saved = change(row, parent, await world.maybe(parent.table));
  if (row.id !== ABSENT) await world.manager.save(table.entity, saved);
}

async function setDeletedAt(world: World, deletedAt: Date | null): Promise<void> {
  const table = world.source(isSoft);
  const others = `"deletedAt" IS ${deletedAt === null ? 'NOT NULL' : 'NULL'}`;
  const rows = await world.load(table, [...(await world.some(table, 1)), ...(await world.some(table, 1, others))]);
  for (const row of rows) Object.assign(row, { deletedAt });
  await world.manager.save(rows);
}

export const SAVES: Kinds = {
  'save new': async (world) => {
    const table = world.source();
    await world.manager.save(await world.create(table));
  },
  'save new, plain objects': async (world) => {
    const table = world.source();
    await world.manager.save(table.entity, await world.freshRows(table, 3));
  },
  'save new of several entities': async (world) => {
    const rows: object[] = [];
    for (const table of [posts, comments, likes, world.source()]) rows.push(await world.create(table));
    await world.manager.save(rows);
  },
  'save changed': async (world) => {
    const table = world.source();
    const [row] = await world.loadSome(table, 1);
    if (row !== undefined) await world.manager.save(Object.assign(row, await world.patch(table)));
  },
  'save changed, with relations loaded': async (world) => {
    const table = world.source(hasParents);
    const relations = Object.fromEntries(table.parents.map(({ relation }) => [relation, true]));
    const rows = await world.loadSome(table, 2, relations);
    for (const row of rows) Object.assign(row, await world.patch(table));
    await world.manager.save(rows);
  },
  'save partial': async (world) => {
    const table = world.source();
    const id = await world.id(table);
    if (id !== ABSENT) await world.manager.save(table.entity, { id, ...(await world.patch(table)) });
  },
  'save the same row twice in one array': async (world) => {
    const table = world.source();
    const ids = await world.some(table, 1);
    const rows = [...(await world.load(table, ids)), ...(await world.load(table, ids))];
    for (const row of rows) Object.assign(row, await world.patch(table));
    await world.manager.save(rows);
  },
  'save a raw id as relation': (world) =>
    reparent(world, ({ id }, { relation }, parent) => ({ id, [relation]: parent })),
  'save an id object as relation': (world) =>
    reparent(world, ({ id }, { relation }, parent) => ({ id, [relation]: parent === null ? null : { id: parent } })),
  'save a raw id into a loaded row': (world) =>
    reparent(world, (row, { relation }, parent) => Object.assign(row, { [relation]: parent })),
  'save a stale relation beside a changed foreign key': (world) =>
    reparent(
      world,
      (row, { column }, parent) => Object.assign(row, { [String(column)]: parent }),
      ({ column }) => column !== null,
    ),
  'save with listeners: false': (world) => saveMixed(world, { listeners: false }),
  'save with reload: false': (world) => saveMixed(world, { reload: false }),
  'save with transaction: false': (world) => saveMixed(world, { transaction: false }),
  'save with chunk: 2': (world) => saveMixed(world, { chunk: 2 }),
  'save with all options': (world) =>
    saveMixed(world, { listeners: false, reload: false, transaction: false, chunk: 2 }),
  'save deletedAt set': (world) => setDeletedAt(world, new Date(0)),
  'save deletedAt unset': (world) => setDeletedAt(world, null),
  'save a key as text': async (world) => {
    const table = world.source();
    const id = await world.id(table);
    const row: Values = { id: String(id), ...(await world.patch(table)) };
    if (id !== ABSENT) await world.manager.save(table.entity, row);
  },
  'save a key that is not there': async (world) => {
    const table = world.random.pick(TARGETS);
    await world.manager.save(table.entity, { ...(await world.fresh(table)), id: world.chooseKey() });
  },
  'save a stale parent': async (world) => {
    const table = world.random.pick([authors, posts]);
    const rows = await world.loadSome(table, 2);
    for (const row of rows) Object.assign(row, await world.patch(table), { commentsCount: 99 });
    await world.manager.save(rows);
  },
  'save new parents': async (world) => {
    await world.manager.save(authors.entity, await world.freshRows(authors, 2));
    await world.manager.save(categories.entity, await world.fresh(categories));
  },
};
