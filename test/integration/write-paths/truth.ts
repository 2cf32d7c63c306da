import type { DataSource } from 'typeorm';

const SONGS = '(SELECT count(*) FROM song s WHERE s."albumId" = t.id AND s."deletedAt" IS NULL';
const REPLIES = '(SELECT count(*) FROM reply r WHERE';
const PRODUCTS = 'JOIN product p ON p.id = r."productId" AND p."deletedAt" IS NULL WHERE p."categoryId" = t.id';

/** Table, counter column, and an SQL expression that counts it from nothing: `t` is the target's row. */
const COLUMNS: readonly (readonly [table: string, column: string, truth: string])[] = [
  ['author', 'postsCount', '(SELECT count(*) FROM post p WHERE p."authorId" = t.id AND p."deletedAt" IS NULL)'],
  [
    'author',
    'likesSum',
    '(SELECT COALESCE(sum(p.likes), 0) FROM post p WHERE p."authorId" = t.id AND p."deletedAt" IS NULL)',
  ],
  ['album', 'songsCount', `${SONGS})`],
  ['album', 'longSongsCount', `${SONGS} AND s.seconds > 300)`],
  ['shelf', 'booksCount', '(SELECT count(*) FROM book b WHERE b."shelfId" = t.id AND b."deletedAt" IS NULL)'],
  ['forum', 'topicsCount', '(SELECT count(*) FROM topic o WHERE o."forumId" = t.id)'],
  ['topic', 'repliesCount', `${REPLIES} r."topicId" = t.id)`],
  ['member', 'repliesCount', `${REPLIES} r."memberId" = t.id)`],
  ['student', 'coursesCount', '(SELECT count(*) FROM student_courses_course j WHERE j."studentId" = t.id)'],
  ['course', 'studentsCount', '(SELECT count(*) FROM student_courses_course j WHERE j."courseId" = t.id)'],
  ['unit', 'unitsCount', '(SELECT count(*) FROM unit u WHERE u."parentId" = t.id)'],
  ['country', 'citiesCount', '(SELECT count(*) FROM city c WHERE c."countryCode" = t.code)'],
  [
    'continent',
    'northernCount',
    `(SELECT count(*) FROM city c WHERE c."continentId" = t.id AND c."countryCode" = 'north')`,
  ],
  ['region', 'shopsCount', '(SELECT count(*) FROM shop s WHERE s."regionCode" = t.code)'],
  ['gallery', 'photosCount', '(SELECT count(*) FROM photo p WHERE p."galleryId" = t.id)'],
  ['category', 'reviewsCount', `(SELECT count(*) FROM review r ${PRODUCTS} AND r."deletedAt" IS NULL)`],
  [
    'category',
    'starsSum',
    `(SELECT COALESCE(sum(r.stars), 0) FROM review r ${PRODUCTS} AND r."deletedAt" IS NULL AND p.published)`,
  ],
  [
    'category',
    'commentsCount',
    `(SELECT count(*) FROM comment c JOIN review r ON r.id = c."reviewId" AND r."deletedAt" IS NULL ${PRODUCTS})`,
  ],
];

const ALL = COLUMNS.map(
  ([table, column, truth]) =>
    `SELECT '${table}.${column}' AS "column", t."${column}"::text AS got, ${truth}::text AS truth FROM ${table} t`,
).join(' UNION ALL ');

/** One counter column of one target. */
export interface Counted {
  readonly column: string;
  readonly got: string;
  readonly truth: string;
}

/** Every counter column, with what it should be by SQL; in an order that does not depend on the rows' keys. */
export async function countAll(dataSource: DataSource): Promise<Counted[]> {
  const counted = await dataSource.query<Counted[]>(ALL);
  return counted.toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)));
}

function nameOf({ column, truth }: Counted): string {
  return `${column} ${truth}`;
}

/** Those that are not what they should be. */
export function wrongOf(counted: readonly Counted[]): Counted[] {
  return counted.filter(({ got, truth }) => got !== truth);
}

/** Sources first: rows are deleted in this order. */
const TABLES = `post author song album book shelf note reply topic forum member student_courses_course student course
  unit city country continent shop region photo gallery comment review product category`.split(/\s+/);

/** Deletes all rows, unseen by counters. */
export async function clear(dataSource: DataSource): Promise<void> {
  await dataSource.query(TABLES.map((table) => `DELETE FROM ${table}`).join('; '));
}
