import type { Action, ActionContext } from './actions';
import type { World } from './world';

interface Row {
  readonly id: number;
}

const hasPosts = ({ posts }: World): boolean => posts.size > 20;
const hasComments = ({ posts, comments }: World): boolean => posts.size > 20 && comments.size > 20;

const newComment = ({ world, random }: ActionContext): object => ({
  body: 'I have something to say.',
  postId: world.posts.popular(random),
  authorId: world.users.popular(random),
});

/** Writes to comments. */
export const COMMENT_ACTIONS: readonly Action[] = [
  { weight: 24, possible: hasPosts, run: create },
  { weight: 3, possible: hasPosts, run: createMany },
  { weight: 4, possible: hasComments, run: move },
  { weight: 5, possible: hasComments, run: remove },
];

async function create(context: ActionContext): Promise<void> {
  const row = await context.http.send<Row>('POST', '/comments', newComment(context));
  if (row === null) return;
  context.world.comments.add(row.id);
  context.tally.wrote('Comment');
}

async function createMany(context: ActionContext): Promise<void> {
  const comments = Array.from({ length: 5 }, () => newComment(context));
  const answer = await context.http.send<{ ids: number[] }>('POST', '/comments/bulk', { comments });
  if (answer === null) return;
  context.world.comments.add(...answer.ids);
  context.tally.wrote('Comment', comments.length);
}

async function move({ http, world, random, tally }: ActionContext): Promise<void> {
  const set = { postId: world.posts.popular(random) };
  const answer = await http.send('PATCH', `/comments/${world.comments.any(random)}`, set);
  if (answer !== null) tally.wrote('Comment');
}

async function remove({ http, world, random, tally }: ActionContext): Promise<void> {
  const id = world.comments.any(random);
  const answer = await http.send('DELETE', `/comments/${id}`);
  world.comments.remove(id);
  if (answer !== null) tally.wrote('Comment');
}
