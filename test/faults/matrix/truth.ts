import type { DataSource } from 'typeorm';

/** Per target, what each column holds less what SQL counts. */
const DIFFERENCES = `
  SELECT 'author ' || a.id AS target, a."postsCount" - count(p.id)::int AS posts,
    a."publishedCount" - count(p.id) FILTER (WHERE p.published)::int AS published,
    a."likesSum" - COALESCE(sum(p.likes), 0)::int AS likes
  FROM author a LEFT JOIN post p ON p."authorId" = a.id GROUP BY a.id
  UNION ALL
  SELECT 'topic ' || t.id, t."postsCount" - count(p.id)::int, 0, 0
  FROM topic t LEFT JOIN post p ON p."topicId" = t.id GROUP BY t.id`;

/** A target whose columns are not what SQL counts: column − truth. */
export interface Wrong {
  readonly target: string;
  readonly posts: number;
  readonly published: number;
  readonly likes: number;
}

/** All targets with a wrong column. */
export function wrongTargets(dataSource: DataSource): Promise<Wrong[]> {
  return dataSource.query(
    `SELECT * FROM (${DIFFERENCES}) d WHERE (posts, published, likes) <> (0, 0, 0) ORDER BY target`,
  );
}
