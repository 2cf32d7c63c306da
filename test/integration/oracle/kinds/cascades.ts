import { attachments, authors, comments, nodes, type Parent, posts, type Row, type Table } from '../tables';
import type { World } from '../world';
import type { Kinds } from './kind';

/** Rows of one table, cascaded to from a property of their parents. */
interface Family {
  readonly children: Table;
  readonly property: string;
  readonly link: Parent;
}

function familyOf(children: Table, property: string): Family {
  const link = children.parents.find(({ inverse }) => inverse === property);
  if (link === undefined) throw new Error(`${children.name} is in no property ${property}`);
  return { children, property, link };
}

const WRITTEN = familyOf(posts, 'posts');
const SAID = familyOf(comments, 'comments');
const ATTACHED = familyOf(attachments, 'attachments');
const BRANCHES = familyOf(nodes, 'children');
const FAMILIES = [WRITTEN, SAID, ATTACHED, BRANCHES];
const SOFT_FAMILIES = [ATTACHED, BRANCHES];

/** Parents with the children that they have; some have none. */
async function loadFamilies(world: World, { children, property, link }: Family, count: number): Promise<Row[]> {
  const any = world.random.chance(0.2);
  const ids = await (any ? world.some(link.table, count) : world.parents(children, link, count));
  return world.load(link.table, ids, { [property]: true });
}

function childrenOf(row: Row, { property }: Family): Row[] {
  const children = row[property] as Row[];
  return children.toSorted((left, right) => left.id - right.id);
}

/** Saves a parent without some of its children. */
async function orphan(world: World, family: Family): Promise<void> {
  const [row] = await loadFamilies(world, family, 1);
  if (row === undefined) return;
  const kept = childrenOf(row, family).filter(() => world.random.chance(0.5));
  if (world.random.chance(0.3)) kept.push(await world.create(family.children));
  row[family.property] = kept;
  world.note(
    'kept',
    kept.map(({ id }) => id),
  );
  await world.manager.save(row);
}

export const CASCADES: Kinds = {
  'cascade: new parent with new children': async (world) => {
    const family = world.random.pick(FAMILIES);
    const row = await world.create(family.link.table);
    row[family.property] = [await world.create(family.children), await world.create(family.children)];
    await world.manager.save(row);
  },
  'cascade: three generations': async (world) => {
    const [row = await world.create(authors)] = await loadFamilies(world, WRITTEN, 1);
    const post = await world.create(posts);
    post['comments'] = [await world.create(comments)];
    post['attachments'] = [await world.create(attachments), await world.create(attachments)];
    row['posts'] = [...((row['posts'] ?? []) as Row[]), post];
    await world.manager.save(row);
  },
  'cascade: more children': async (world) => {
    const family = world.random.pick(FAMILIES);
    for (const row of await loadFamilies(world, family, 1)) {
      row[family.property] = [...childrenOf(row, family), await world.create(family.children)];
      await world.manager.save(row);
    }
  },
  'cascade: changed children': async (world) => {
    const family = world.random.pick(FAMILIES);
    const rows = await loadFamilies(world, family, 2);
    for (const row of rows)
      for (const child of childrenOf(row, family).slice(0, 2)) Object.assign(child, await world.patch(family.children));
    await world.manager.save(rows);
  },
  'cascade: adopt': async (world) => {
    const family = world.random.pick(FAMILIES);
    const adopted = await world.loadSome(family.children, 2);
    for (const row of await loadFamilies(world, family, 1)) {
      const own = childrenOf(row, family).filter(({ id }) => adopted.every((child) => child.id !== id));
      row[family.property] = [...own, ...adopted];
      await world.manager.save(row);
    }
  },
  'cascade: adopt by key': async (world) => {
    const family = world.random.pick(FAMILIES);
    const ids = await world.some(family.children, 2);
    const [id] = await world.some(family.link.table, 1);
    if (id !== undefined)
      await world.manager.save(family.link.table.entity, {
        id,
        [family.property]: ids.map((child) => ({ id: child })),
      });
  },
  'cascade: swap children between parents': async (world) => {
    const family = world.random.pick(FAMILIES);
    const [one, two] = await loadFamilies(world, family, 2);
    if (one === undefined || two === undefined) return;
    [one[family.property], two[family.property]] = [childrenOf(two, family), childrenOf(one, family)];
    await world.manager.save([one, two]);
  },
  'cascade: orphans nullified': (world) => orphan(world, world.random.pick([WRITTEN, BRANCHES])),
  'cascade: orphans deleted': (world) => orphan(world, SAID),
  'cascade: orphans soft-deleted': (world) => orphan(world, ATTACHED),
  'cascade: remove': async (world) => {
    await world.manager.remove(await loadFamilies(world, world.random.pick([SAID, ATTACHED, BRANCHES]), 1));
  },
  'cascade: soft-remove': async (world) => {
    await world.manager.softRemove(await loadFamilies(world, world.random.pick(SOFT_FAMILIES), 2));
  },
  'cascade: recover': async (world) => {
    await world.manager.recover(await loadFamilies(world, world.random.pick(SOFT_FAMILIES), 3));
  },
};
