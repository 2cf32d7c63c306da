import type { Action, ActionContext } from './actions';
import type { World } from './world';

interface Row {
  readonly id: number;
}

const hasPosts = ({ posts }: World): boolean => posts.size > 20;
const hasTrash = ({ trash }: World): boolean => trash.size > 0;

const newPost = ({ world, random }: ActionContext): object => ({
  title: `Post ${random.below(1_000_000)}`,
  authorId: world.users.popular(random),
  published: random.next() < 0.5,
});

/** Writes to posts. */
export const POST_ACTIONS: readonly Action[] = [
  { weight: 14, run: create },
  { weight: 2, run: createMany },
  { weight: 4, possible: hasPosts, run: (context) => change(context, { published: context.random.next() < 0.5 }) },
  {
    weight: 4,
    possible: hasPosts,
    run: (context) => post(context, context.random.next() < 0.6 ? 'publish' : 'unpublish'),
  },
  {
    weight: 5,
    possible: hasPosts,
    run: (context) => change(context, { authorId: context.world.users.popular(context.random) }),
  },
  // Touches no column that a counter looks at.
  { weight: 3, possible: hasPosts, run: (context) => change(context, { title: 'A better title' }) },
  { weight: 1, possible: hasPosts, run: publishMany },
  { weight: 5, possible: hasPosts, run: softDelete },
  { weight: 3, possible: hasTrash, run: restore },
  { weight: 1, possible: hasTrash, run: deleteForever },
];

async function create(context: ActionContext): Promise<void> {
  const row = await context.http.send<Row>('POST', '/posts', newPost(context));
  if (row !== null) context.world.posts.add(row.id);
  context.tally.wrote('Post');
}

async function createMany(context: ActionContext): Promise<void> {
  const posts = Array.from({ length: 5 }, () => newPost(context));
  const answer = await context.http.send<{ ids: number[] }>('POST', '/posts/bulk', { posts });
  context.world.posts.add(...(answer?.ids ?? []));
  context.tally.wrote('Post', posts.length);
}

async function change({ http, world, random, tally }: ActionContext, set: object): Promise<void> {
  const answer = await http.send('PATCH', `/posts/${world.posts.popular(random)}`, set);
  if (answer !== null) tally.wrote('Post');
}

async function post({ http, world, random, tally }: ActionContext, action: 'publish' | 'unpublish'): Promise<void> {
  const answer = await http.send('POST', `/posts/${world.posts.any(random)}/${action}`);
  if (answer !== null) tally.wrote('Post');
}

async function publishMany({ http, world, random, tally }: ActionContext): Promise<void> {
  const ids = Array.from({ length: 10 }, () => world.posts.any(random));
  const set = { ids, published: random.next() < 0.5 };
  const answer = await http.send<{ affected: number }>('POST', '/posts/bulk/publish', set);
  tally.wrote('Post', answer?.affected ?? 0);
}

// Two clients may choose the same post at the same time: one of them loses, and the counters must not notice.
async function softDelete({ http, world, random, tally }: ActionContext): Promise<void> {
  const id = world.posts.popular(random);
  if ((await http.send('DELETE', `/posts/${id}`)) === null) return;
  world.posts.remove(id);
  world.trash.add(id);
  tally.wrote('Post');
}

async function restore({ http, world, random, tally }: ActionContext): Promise<void> {
  const id = world.trash.any(random);
  if ((await http.send('POST', `/posts/${id}/restore`)) === null) return;
  world.trash.remove(id);
  world.posts.add(id);
  tally.wrote('Post');
}

async function deleteForever({ http, world, random, tally }: ActionContext): Promise<void> {
  const id = world.trash.any(random);
  const answer = await http.send<{ comments: number }>('DELETE', `/posts/${id}/forever`);
  if (answer === null) return;
  world.trash.remove(id);
  tally.wrote('Post');
  tally.wrote('Comment', answer.comments);
}
