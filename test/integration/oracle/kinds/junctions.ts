import { posts, type Row, type Table, tags } from '../tables';
import type { World } from '../world';
import type { Kinds } from './kind';

/** The two sides of the many-to-many relation: the one that owns the junction table, and the other. */
const SIDES: readonly (readonly [table: Table, property: string, other: Table])[] = [
  [posts, 'tags', tags],
  [tags, 'posts', posts],
];

/** Some rows of one side, with the other side loaded. */
async function linked(world: World, count: number) {
  const [table, property, other] = world.random.pick(SIDES);
  world.note(`${table.name}.${property}`);
  return { property, other, rows: await world.loadSome(table, count, { [property]: true }) };
}

function relationOf(world: World) {
  const [table, property, other] = world.random.pick(SIDES);
  world.note(`${table.name}.${property}`);
  return { table, other, builder: world.manager.createQueryBuilder().relation(table.entity, property) };
}

export const JUNCTIONS: Kinds = {
  'many-to-many: save other rows': async (world) => {
    const { rows, property, other } = await linked(world, 2);
    for (const row of rows) row[property] = await world.loadSome(other, 3);
    await world.manager.save(rows);
  },
  'many-to-many: save one less': async (world) => {
    const { rows, property } = await linked(world, 2);
    for (const row of rows) row[property] = (row[property] as Row[]).slice(1);
    await world.manager.save(rows);
  },
  'many-to-many: save none': async (world) => {
    const { rows, property } = await linked(world, 1);
    for (const row of rows) row[property] = [];
    await world.manager.save(rows);
  },
  'many-to-many: save by key': async (world) => {
    const [id] = await world.some(posts, 1);
    const ids = await world.some(tags, 2);
    if (id !== undefined) await world.manager.save(posts.entity, { id, tags: ids.map((tag) => ({ id: tag })) });
  },
  'many-to-many: save new rows on both sides': async (world) => {
    const post = await world.create(posts);
    post['tags'] = [await world.create(tags), ...(await world.loadSome(tags, 1))];
    await world.manager.save(post);
  },
  'many-to-many: relation, add': async (world) => {
    const { table, other, builder } = relationOf(world);
    const [ids, to] = [await world.some(table, 1), await world.some(other, 2)];
    if (ids.length > 0 && to.length > 0) await builder.of(ids[0]).add(to);
  },
  'many-to-many: relation, remove': async (world) => {
    const { table, other, builder } = relationOf(world);
    const [ids, from] = [await world.some(table, 2), await world.some(other, 2)];
    if (ids.length > 0 && from.length > 0) await builder.of(ids).remove(from);
  },
  'many-to-many: delete a tag': async (world) => {
    await world.manager.delete(tags.entity, await world.id(tags));
  },
};
