import type { Action, ActionContext } from './actions';
import type { World } from './world';

interface Row {
  readonly id: number;
}

const hasReviews = ({ reviews }: World): boolean => reviews.size > 20;

/** Writes to reviews, ratings and follows. */
export const OPINION_ACTIONS: readonly Action[] = [
  { weight: 10, run: review },
  { weight: 4, possible: hasReviews, run: (context) => changeReview(context, { score: 1 + context.random.below(5) }) },
  {
    weight: 1,
    possible: hasReviews,
    run: (context) => changeReview(context, { productId: context.world.products.popular(context.random) }),
  },
  { weight: 2, possible: hasReviews, run: deleteReview },
  { weight: 8, run: rate },
  { weight: 12, run: (context) => follow(context, 'PUT') },
  { weight: 3, run: (context) => follow(context, 'DELETE') },
];

async function review({ http, world, random, tally }: ActionContext): Promise<void> {
  const row = await http.send<Row>('POST', '/reviews', {
    body: 'It does what it says.',
    score: 1 + random.below(5),
    productId: world.products.popular(random),
    authorId: world.users.popular(random),
  });
  if (row === null) return;
  world.reviews.add(row.id);
  tally.wrote('Review');
}

async function changeReview({ http, world, random, tally }: ActionContext, set: object): Promise<void> {
  const answer = await http.send('PATCH', `/reviews/${world.reviews.any(random)}`, set);
  if (answer !== null) tally.wrote('Review');
}

async function deleteReview({ http, world, random, tally }: ActionContext): Promise<void> {
  const id = world.reviews.any(random);
  const answer = await http.send('DELETE', `/reviews/${id}`);
  world.reviews.remove(id);
  if (answer !== null) tally.wrote('Review');
}

/** One evening of one user: some movies are rated again. */
async function rate({ http, world, random, tally }: ActionContext): Promise<void> {
  const userId = world.users.popular(random);
  const movieIds = new Set(Array.from({ length: 3 }, () => world.movies.popular(random)));
  const ratings = [...movieIds].map((movieId) => ({ userId, movieId, value: (1 + random.below(10)) / 2 }));
  await http.send('PUT', '/ratings', { ratings });
  tally.wrote('Rating', ratings.length);
}

async function follow({ http, world, random, tally }: ActionContext, method: 'PUT' | 'DELETE'): Promise<void> {
  const followedType = random.next() < 0.7 ? 'User' : 'Store';
  const followedId = (followedType === 'User' ? world.users : world.stores).popular(random);
  const followerId = world.users.any(random);
  if (followedType === 'User' && followedId === followerId) return;
  const answer = await http.send(method, '/follows', { followerId, followedType, followedId });
  if (answer !== null) tally.wrote('Follow');
}
