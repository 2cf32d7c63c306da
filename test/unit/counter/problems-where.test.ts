import { In, LessThan, Like, MoreThan, Not } from 'typeorm';

import { refusing } from './blog';

const counted = { relation: 'author', column: 'postsCount' } as const;

describe('a where is refused', () => {
  const cases: [name: string, options: unknown, problem: string][] = [
    [
      'where that is a list',
      { ...counted, where: [{ published: true }] },
      "expected 'where' to be an object of properties, got: [an object]",
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
      'Like',
      { ...counted, where: { title: Like('a%') } },
      "expected 'where.title' to use equality, Equal, In, IsNull, Not, Between, LessThan, LessThanOrEqual, MoreThan or MoreThanOrEqual, got: Like",
    ],
    ['Not(Like)', { ...counted, where: { title: Not(Like('a%')) } }, 'got: Like'],
    ['LessThan(Not)', { ...counted, where: { views: LessThan(Not(5)) } }, 'got: LessThan(Not(…))'],
    [
      'an order of text',
      { ...counted, where: { title: MoreThan('a') } },
      "expected 'where.title' to use no ordering on a String column (its order depends on the collation), got: MoreThan",
    ],
    [
      'NULL in where',
      { ...counted, where: { title: null } },
      "expected 'where.title' to be compared with a String, got: null. Use IsNull() for NULL",
    ],
    ['undefined in where', { ...counted, where: { title: undefined } }, 'got: undefined. Use IsNull() for NULL'],
    [
      'a value of another type in where',
      { ...counted, where: { views: 'many' } },
      'expected \'where.views\' to be compared with a int, got: "many". Use a value of its type',
    ],
    ['In without a list', { ...counted, where: { views: In(5 as never) } }, 'got: In(5)'],
    [
      'an array column in where',
      { ...counted, where: { scores: 5 } },
      "expected 'where.scores' to be of a type that can be compared, got: int array, which only supports IsNull()",
    ],
  ];

  it.each(cases)('%s', async (_name, options, problem) => {
    expect(await refusing(options)).toContainEqual(expect.stringContaining(problem));
  });
});
