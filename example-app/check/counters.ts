import { Comment, Follow, Movie, Post, Product, Rating, Review, Store, User } from '../entities';

/** A counter, and what it should be by a query that knows nothing of the library. */
export interface CheckedCounter {
  /** The counted entity. */
  readonly source: string;
  readonly target: new () => { id: number };
  readonly column: string;
  /** Gives `id` and `n` of every target that has any. */
  readonly truth: string;
}

const counter = <Target extends { id: number }>(
  source: new () => object,
  target: new () => Target,
  column: keyof Target & string,
  truth: string,
): CheckedCounter => ({ source: source.name, target, column, truth });

/** Every counter of the service. */
export const COUNTERS: readonly CheckedCounter[] = [
  counter(
    Post,
    User,
    'postsCount',
    `SELECT "authorId" AS id, COUNT(*) AS n FROM post WHERE "deletedAt" IS NULL GROUP BY 1`,
  ),
  counter(
    Post,
    User,
    'publishedPostsCount',
    `SELECT "authorId" AS id, COUNT(*) AS n FROM post WHERE published AND "deletedAt" IS NULL GROUP BY 1`,
  ),
  counter(Comment, User, 'commentsCount', `SELECT "authorId" AS id, COUNT(*) AS n FROM comment GROUP BY 1`),
  counter(Comment, Post, 'commentsCount', `SELECT "postId" AS id, COUNT(*) AS n FROM comment GROUP BY 1`),
  counter(Review, Product, 'reviewsCount', `SELECT "productId" AS id, COUNT(*) AS n FROM review GROUP BY 1`),
  counter(Review, Product, 'scoreSum', `SELECT "productId" AS id, SUM(score) AS n FROM review GROUP BY 1`),
  counter(
    Review,
    Product,
    'praisesCount',
    `SELECT "productId" AS id, COUNT(*) AS n FROM review WHERE score >= 4 GROUP BY 1`,
  ),
  counter(Follow, User, 'followingCount', `SELECT "followerId" AS id, COUNT(*) AS n FROM follow GROUP BY 1`),
  counter(
    Follow,
    User,
    'followersCount',
    `SELECT "followedId" AS id, COUNT(*) AS n FROM follow WHERE "followedType" = 'User' GROUP BY 1`,
  ),
  counter(
    Follow,
    Store,
    'followersCount',
    `SELECT "followedId" AS id, COUNT(*) AS n FROM follow WHERE "followedType" = 'Store' GROUP BY 1`,
  ),
  counter(Rating, Movie, 'ratingsCount', `SELECT "movieId" AS id, COUNT(*) AS n FROM rating GROUP BY 1`),
  counter(Rating, Movie, 'ratingsSum', `SELECT "movieId" AS id, SUM(value) AS n FROM rating GROUP BY 1`),
  counter(Rating, User, 'ratingsCount', `SELECT "userId" AS id, COUNT(*) AS n FROM rating GROUP BY 1`),
];

/** `User.postsCount` */
export function labelOf({ target, column }: CheckedCounter): string {
  return `${target.name}.${column}`;
}

/** The target's table, escaped; entities are named like their tables here. */
export function tableOf({ target }: CheckedCounter): string {
  return `"${target.name.toLowerCase()}"`;
}
