import { ILike, MoreThan, Not, Raw } from 'typeorm';

import { refusing } from './blog';

const counted = { relation: 'author', column: 'postsCount' } as const;

describe('a where is refused', () => {
  const cases: [name: string, options: unknown, problem: string][] = [
    [
      'a where without alternatives',
      { ...counted, where: [] },
      "expected 'where' to list at least one alternative, got: []. Leave it out for every row, or use 'if'",
    ],
    [
      'an alternative that is no object',
      { ...counted, where: [{ published: true }, 'published'] },
      'expected \'where[1]\' to be an object of properties, got: "published"',
    ],
    [
      'a list among alternatives',
      { ...counted, where: [[{ published: true }]] },
      "expected 'where[0]' to be an object of properties, got: [an object]",
    ],
    ['NULL as where', { ...counted, where: null }, "expected 'where' to be an object of properties, got: null"],
    [
      'an unknown column in an alternative',
      { ...counted, where: [{ published: true }, { publishd: true }] },
      "expected 'where[1].publishd' to be a stored column of Post, did you mean 'published'?",
    ],
    [
      'an unknown column in where',
      { ...counted, where: { publishd: true } },
      "expected 'where.publishd' to be a stored column of Post, did you mean 'published'?",
    ],
    [
      'an unknown column like no other in where',
      { ...counted, where: { xyzzy: true } },
      "expected 'where.xyzzy' to be a stored column of Post, got: no such property",
    ],
    [
      'a relation in where',
      { ...counted, where: { author: { id: 5 } } },
      "got: conditions on the target, under 'author'. Use the source's own columns",
    ],
    [
      'another relation in where',
      { ...counted, relation: 'editor', where: { author: { id: 5 } } },
      "expected 'where.author' to be a stored column of Post, got: a relation. Use its foreign-key column 'authorId'",
    ],
    [
      'a relation without column in where',
      { ...counted, where: { editor: { id: 5 } } },
      'got: a relation. Use its foreign-key column, declared as a @Column of its own',
    ],
    [
      'ILike',
      { ...counted, where: { title: ILike('a%') } },
      "expected 'where.title' to be the same condition in JS as in SQL, got: ILike (what is upper and lower case depends on the database's locale). Use 'if' instead",
    ],
    ['Raw', { ...counted, where: { title: Not(Raw('now()')) } }, 'got: Raw (JavaScript cannot evaluate SQL)'],
    [
      'an order of text',
      { ...counted, where: { title: MoreThan('a') } },
      'got: MoreThan on a String column (its order depends on the collation)',
    ],
    [
      'NULL in where',
      { ...counted, where: { title: null } },
      "expected 'where.title' to be compared with a String, got: null. Use IsNull() for NULL",
    ],
    [
      'undefined in where',
      { ...counted, where: { title: undefined } },
      "expected 'where.title' to be compared with a String, got: undefined. Leave it out, or use IsNull() for NULL",
    ],
    [
      'a value of another type in where',
      { ...counted, where: { views: 'many' } },
      'expected \'where.views\' to be compared with a int, got: "many". Use a value of its type',
    ],
  ];

  it.each(cases)('%s', async (_name, options, problem) => {
    expect(await refusing(options)).toContainEqual(expect.stringContaining(problem));
  });
});
