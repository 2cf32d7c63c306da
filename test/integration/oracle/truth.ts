/** A counter column that is not what SQL counts. */
export interface WrongColumn {
  readonly target: string;
  readonly id: string;
  /** Values by which sources refer to the row, joined by commas; `null` when one of them is. */
  readonly key: string | null;
  readonly column: string;
  readonly got: string | null;
  readonly truth: string;
}

/** Table of the target → counter column → what it should be, of a target `t`. */
export type Truths = Readonly<Record<string, Readonly<Record<string, string>>>>;

const LIVE = 's."deletedAt" IS NULL';
const POSTS = `FROM post s WHERE s."authorId" = t.id`;
const FILED = `FROM post s WHERE s."categoryId" = t.id AND ${LIVE}`;
const ATTACHED = `FROM attachment s WHERE s."postId" = t.id AND ${LIVE}`;
/** A soft-deleted row between leads nowhere. */
const LIVE_POST = 'JOIN post b ON b.id = s."postId" AND b."deletedAt" IS NULL';
const SHOWN = `FROM attachment s ${LIVE_POST} WHERE b."authorId" = t.id AND b.status IN ('live', 'hot') AND ${LIVE}`;
const TAGGED = 'FROM post_tags_tag s WHERE';
const CHILDREN = `FROM node s WHERE s."parentId" = t.id AND ${LIVE}`;
const liked = (type: string): string => `FROM "like" s WHERE s."likeableType" = '${type}' AND s."likeableId" = t.id`;
const likedColumns = (type: string): Record<string, string> => ({
  likedCount: `count(*) ${liked(type)}`,
  likedSum: `sum(s.amount) ${liked(type)}`,
});

/** Of the tables that are in every world. */
export const TRUTHS: Truths = {
  author: {
    postsCount: `count(*) ${POSTS} AND ${LIVE}`,
    everPostsCount: `count(*) ${POSTS}`,
    publishedCount: `count(*) ${POSTS} AND ${LIVE} AND s.status IN ('live', 'hot')`,
    popularCount: `count(*) ${POSTS} AND ${LIVE} AND s.likes >= 10 AND s.status <> 'draft'`,
    articlesCount: `count(*) ${POSTS} AND ${LIVE} AND s.kind = 'article'`,
    storiesCount: `count(*) ${POSTS} AND ${LIVE} AND s.kind = 'story'`,
    likesSum: `sum(s.likes) ${POSTS} AND ${LIVE}`,
    commentsCount: `count(*) FROM comment s WHERE s."authorId" = t.id`,
    shownSum: `sum(s.amount) ${SHOWN}`,
  },
  category: {
    postsCount: `count(*) ${FILED}`,
    ratingSum: `sum(s.rating) ${FILED}`,
    commentsCount: `count(*) FROM comment s ${LIVE_POST} WHERE b."categoryId" = t.id`,
  },
  tag: { postsCount: `count(*) ${TAGGED} s."tagId" = t.id` },
  post: {
    commentsCount: `count(*) FROM comment s WHERE s."postId" = t.id`,
    signedCount: `count(*) FROM comment s WHERE s."postId" = t.id AND s."authorId" IS NOT NULL`,
    attachmentsCount: `count(*) ${ATTACHED}`,
    sizeSum: `sum(s.amount / 2.0) ${ATTACHED}`,
    tagsCount: `count(*) ${TAGGED} s."postId" = t.id`,
    ...likedColumns('post'),
  },
  comment: likedColumns('comment'),
  node: {
    childrenCount: `count(*) ${CHILDREN}`,
    heavySum: `sum(s.amount) ${CHILDREN} AND s.amount > 4`,
    grandchildrenCount: `count(*) FROM node s JOIN node b ON b.id = s."parentId" AND b."deletedAt" IS NULL WHERE b."parentId" = t.id AND ${LIVE}`,
  },
};

/**
 * Every counter column of every target row that is wrong, in one statement. `keys` says by what the sources of a table refer
 * to a row `t`, where that is not its id.
 */
export function wrongSql(truths: Truths, keys: Readonly<Record<string, string>> = {}): string {
  const selects = Object.entries(truths).map(([table, columns]) => {
    const values = Object.entries(columns).map(
      ([column, truth]) => `('${column}', t."${column}"::numeric, COALESCE((SELECT ${truth}), 0)::numeric)`,
    );
    const key = keys[table] ?? 't.id';
    return `SELECT '${table}' AS target, t.id::text AS id, (${key})::text AS key, c."column", c.got::text, c.truth::text FROM "${table}" t
      CROSS JOIN LATERAL (VALUES ${values.join(', ')}) AS c("column", got, truth) WHERE c.got IS DISTINCT FROM c.truth`;
  });
  return selects.join(' UNION ALL ');
}
