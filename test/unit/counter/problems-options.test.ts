import { refusing } from './blog';

const counted = { relation: 'author', column: 'postsCount' } as const;

describe('an option is refused', () => {
  const P = 'Post.author → User.postsCount: ';
  const cases: [name: string, options: unknown, problem: string][] = [
    ['options that are no object', 'author', 'Post: expected options to be an object, got: "author"'],
    ['an unknown option', { ...counted, colum: 1 }, `${P}unknown option 'colum', did you mean 'column'?`],
    [
      'an unknown option like no other',
      { ...counted, xyzzy: 1 },
      `${P}unknown option 'xyzzy', expected one of relation,`,
    ],
    [
      'no column',
      { relation: 'author' },
      "Post: expected 'column' to be a property of the target, or a function of the source, got: undefined. Add it",
    ],
    [
      'a column of another type',
      { ...counted, column: 5 },
      "expected 'column' to be a property of the target, or a function of the source, got: 5",
    ],
    ['no way to the target', { column: 'postsCount' }, "expected 'relation', 'junction' or 'polymorphic', got none"],
    [
      'several ways to the target',
      { ...counted, junction: 'tags' },
      "expected one of 'relation', 'junction', got 2. Keep one",
    ],
    [
      'a junction that is no many-to-many relation',
      { junction: 'author', column: 'postsCount' },
      "expected 'junction' to be a many-to-many relation of Post, got: 'author'",
    ],
    [
      'a condition on a junction',
      { junction: 'author', column: 'postsCount', if: () => true },
      "expected no 'if' that looks at rows of a junction table",
    ],
    [
      'relation of another type',
      { ...counted, relation: 5 },
      "expected 'relation' to be a relation of the source, got: 5",
    ],
    [
      'a dynamic column without columns',
      { ...counted, column: () => null },
      "expected 'columns' to list what the function 'column' may return, got: undefined",
    ],
    ['columns with a static column', { ...counted, columns: ['postsCount'] }, "got both 'columns' and a name"],
    [
      'columns of another type',
      { ...counted, column: () => null, columns: 'postsCount' },
      'expected \'columns\' to be a list of properties of the target, got: "postsCount"',
    ],
    [
      'a column listed twice',
      { ...counted, column: () => null, columns: ['postsCount', 'postsCount'] },
      "expected 'columns' to list each column once",
    ],
    ['if of another type', { ...counted, if: true }, "expected 'if' to be a function of the source, got: true"],
    [
      'incrementBy of another type',
      { ...counted, incrementBy: {} },
      "expected 'incrementBy' to be a number, a property of the source, or a function, got: an object",
    ],
    ['incrementBy 0', { ...counted, incrementBy: 0 }, "expected 'incrementBy' not to be 0"],
    [
      'touch of another type',
      { ...counted, touch: false },
      "expected 'touch' to be true or a property of the target, got: false",
    ],
    [
      'a negative wait',
      { ...counted, wait: -1 },
      "expected 'wait' to be milliseconds, 0 or more, or a function of the source, got: -1",
    ],
    ['an endless wait', { ...counted, wait: Infinity }, "expected 'wait' to be milliseconds"],
    [
      'reads of another type',
      { ...counted, reads: 'title' },
      'expected \'reads\' to be a list of properties, got: "title"',
    ],
    [
      'recalculation of another type',
      { ...counted, recalculation: 1 },
      "expected 'recalculation' to be a boolean, got: 1",
    ],
    [
      'recalculationDelay 0',
      { ...counted, recalculationDelay: 0 },
      "expected 'recalculationDelay' to be milliseconds, more than 0, got: 0",
    ],
    [
      'a delay of no recalculation',
      { ...counted, recalculation: false, recalculationDelay: 5 },
      "expected no 'recalculationDelay' with 'recalculation: false', got both",
    ],
    [
      'method of another type',
      { ...counted, method: 5 },
      "expected 'method' to be the name of a method of the target, or a function, got: 5",
    ],
    [
      'method for several columns',
      { ...counted, column: () => null, columns: ['postsCount'], method: 'recount' },
      "expected no 'method' with a function as 'column', got both",
    ],
    [
      'includeSoftDeleted of another type',
      { ...counted, includeSoftDeleted: 1 },
      "expected 'includeSoftDeleted' to be a boolean, got: 1",
    ],
    ['flushAt 0', { ...counted, flushAt: 0 }, "expected 'flushAt' to be a positive whole number, got: 0"],
    ['flushAt 1.5', { ...counted, flushAt: 1.5 }, "expected 'flushAt' to be a positive whole number, got: 1.5"],
    ['an empty name', { ...counted, name: '' }, 'expected \'name\' to be a text of at least one character, got: ""'],
    ['partitions', { ...counted, partitions: 4 }, "expected 'partitions' to be 1, got: 4. It is not available yet"],
    ['another mode', { ...counted, mode: 'none' }, "expected 'mode' to be one of 'buffered', 'outbox', got: \"none\""],
    [
      'relation and polymorphic',
      { ...counted, polymorphic: { id: 'id', type: 'title', targets: () => ({}) } },
      "expected one of 'relation', 'polymorphic', got 2. Keep one",
    ],
  ];

  it.each(cases)('%s', async (_name, options, problem) => {
    expect(await refusing(options)).toContainEqual(expect.stringContaining(problem));
  });
});
