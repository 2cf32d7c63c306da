import { Post } from '../schema';
import { authors, comments, posts, type Values } from '../tables';
import { ABSENT, type World } from '../world';
import type { Kinds } from './kind';

/** A value of `slug` that a post has, made sure of by writing it. */
async function takenSlug(world: World): Promise<string> {
  const [slug] = await world.taken(posts);
  if (slug !== undefined) return slug;
  await world.manager.insert(Post, { slug: 'taken' });
  return 'taken';
}

/** Writes that the database refuses. */
export const FAILURES: Kinds = {
  'fails: insert with a value taken': async (world) => {
    const slug = await takenSlug(world);
    await world.manager.insert(posts.entity, [await world.fresh(posts), { ...(await world.fresh(posts)), slug }]);
  },
  'fails: save with a value taken': async (world) => {
    const slug = await takenSlug(world);
    await world.manager.save(posts.entity, [await world.fresh(posts), { ...(await world.fresh(posts)), slug }]);
  },
  'fails: save with a value taken, transaction: false': async (world) => {
    const rows = [await world.fresh(comments), { ...(await world.fresh(comments)), post: { id: ABSENT } }];
    await world.manager.save(comments.entity, rows, { transaction: false, chunk: 1 });
  },
  'fails: update to a parent that is not there': async (world) => {
    await world.manager.insert(posts.entity, await world.fresh(posts));
    await world.manager.updateAll(Post, { authorId: ABSENT });
  },
  'fails: upsert of one value twice': async (world) => {
    const row: Values = { ...(await world.fresh(authors)), email: 'twice' };
    await world.manager.upsert(authors.entity, [row, { ...row }], ['email']);
  },
  'fails: a query': (world) => world.manager.query('SELECT 1 / 0'),
};
