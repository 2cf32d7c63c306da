import { EntitySchema, In, LessThan, Like, MoreThan, Not, ViewEntity, Column, ManyToOne, Entity } from 'typeorm';

import { CounterCache, defineCounterCache } from '../../../src/counter/decorator';
import { blog, problemsOf } from './blog';

const counted = { relation: 'author', column: 'postsCount' };

/** The problems of one wrong declaration on Post. */
async function refusing(options: unknown): Promise<readonly string[]> {
  const { Post, entities } = blog();
  defineCounterCache(Post, options as never);
  return problemsOf(entities);
}

describe('a declaration is refused', () => {
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
    ['neither relation nor polymorphic', { column: 'postsCount' }, "expected 'relation' or 'polymorphic', got neither"],
    [
      'relation of another type',
      { ...counted, relation: 5 },
      "expected 'relation' to be a relation of the source, got: 5",
    ],
    [
      'an unknown relation',
      { ...counted, relation: 'autor' },
      "Post.autor → ?.postsCount: unknown relation 'autor' of Post, did you mean 'author'?",
    ],
    [
      'an unknown relation like no other',
      { ...counted, relation: 'xyzzy' },
      "unknown relation 'xyzzy' of Post. It has editor, author",
    ],
    ['a column as relation', { ...counted, relation: 'authorId' }, "got: 'authorId', which is a column"],
    ['a path', { ...counted, relation: 'author.country' }, 'Paths of several steps are not available yet'],
    [
      'one-to-many',
      { ...counted, relation: 'comments' },
      "got: 'comments', which is one-to-many. Declare the counter on the entity that has the foreign key",
    ],
    [
      'the inverse one-to-one',
      { ...counted, relation: 'cover' },
      "got: 'cover', which is one-to-one and not the owner",
    ],
    [
      'an unknown column',
      { ...counted, column: 'postCount' },
      "unknown column 'postCount' of User, did you mean 'postsCount'?",
    ],
    [
      'an unknown column like no other',
      { ...counted, column: 'xyzzy' },
      "unknown column 'xyzzy' of User. User has id, handle",
    ],
    [
      'a text column',
      { ...counted, column: 'text' },
      'expected User.text to be smallint, integer, bigint or numeric with a scale, got: character varying',
    ],
    [
      'a float column',
      { ...counted, column: 'float' },
      'got: double precision, whose sums are not exact. Use integer, bigint or numeric with a scale',
    ],
    [
      'a numeric column without scale',
      { ...counted, column: 'unbounded' },
      'got: numeric without precision and scale. Declare both',
    ],
    ['an array column', { ...counted, column: 'list' }, 'got: an array'],
    [
      'a primary column',
      { ...counted, column: 'id' },
      'expected User.id to be a column of its own, got: a primary column',
    ],
    ['a version column', { ...counted, column: 'version' }, 'got: a version column'],
    ['a computed column', { ...counted, column: 'computed' }, 'got: a column generated from an expression'],
    ['a date column', { ...counted, column: 'updatedAt' }, 'got: a date column of TypeORM'],
    ['a column without default', { ...counted, column: 'bare' }, 'got neither. Declare { default: 0 }'],
    ['a column with another default', { ...counted, column: 'five' }, 'got: { default: 5 }. Declare { default: 0 }'],
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
    [
      'an unknown column in columns',
      { ...counted, column: () => null, columns: ['postCount'] },
      "unknown column 'postCount' of User, did you mean 'postsCount'?",
    ],
    ['if of another type', { ...counted, if: true }, "expected 'if' to be a function of the source, got: true"],
    [
      'incrementBy of another type',
      { ...counted, incrementBy: {} },
      "expected 'incrementBy' to be a number, a property of the source, or a function, got: an object",
    ],
    ['incrementBy 0', { ...counted, incrementBy: 0 }, "expected 'incrementBy' not to be 0"],
    [
      'a fraction into an integer',
      { ...counted, incrementBy: 0.5 },
      "expected 'incrementBy' to be a whole number, got: 0.5",
    ],
    [
      'NaN',
      { ...counted, incrementBy: Number.NaN },
      "expected 'incrementBy' to be a finite number or a bigint, got: NaN",
    ],
    [
      'an unknown incrementBy',
      { ...counted, incrementBy: 'view' },
      "unknown property 'view' of Post, in 'incrementBy', did you mean 'views'?",
    ],
    [
      'a float incrementBy',
      { ...counted, incrementBy: 'rating' },
      "got: 'rating', which is double precision, whose sums are not exact. Make it numeric with a scale, or use a function that rounds",
    ],
    [
      'a text incrementBy',
      { ...counted, incrementBy: 'title' },
      "got: 'title', which is character varying. Use a function",
    ],
    ['an array incrementBy', { ...counted, incrementBy: 'scores' }, "got: 'scores', which is an array. Use a function"],
    [
      'a numeric incrementBy without scale',
      { ...counted, incrementBy: 'loose' },
      "got: 'loose', which is numeric without precision and scale",
    ],
    [
      'an amount of a larger scale',
      { ...counted, column: 'earnings', incrementBy: 'price' },
      'expected User.earnings to have at least the scale of Post.price (3), got: 2',
    ],
    [
      'touch of another type',
      { ...counted, touch: false },
      "expected 'touch' to be true or a property of the target, got: false",
    ],
    [
      'an unknown touch',
      { ...counted, touch: 'postAt' },
      "unknown column 'postAt' of User, in 'touch', did you mean 'postedAt'?",
    ],
    [
      'touch on another type',
      { ...counted, touch: 'text' },
      "expected 'touch' to be a timestamp or date column of User, got: 'text', which is character varying",
    ],
    ['touch on the delete date', { ...counted, touch: 'deletedAt' }, "got: 'deletedAt', which is the delete date"],
    ['touch on an array', { ...counted, touch: 'list' }, "got: 'list', which is an array"],
    ['touch on the key', { ...counted, touch: 'id' }, "got: 'id', which is a primary column"],
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
      'an unknown read',
      { ...counted, reads: ['titel'] },
      "unknown property 'titel' of Post, in 'reads', did you mean 'title'?",
    ],
    ['a computed read', { ...counted, reads: ['virtual'] }, "unknown property 'virtual' of Post, in 'reads'"],
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
      'an unknown method',
      { ...counted, method: 'count' },
      "expected 'method' to be a method of User, got: 'count', which it has not",
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
    ['batchSize 0', { ...counted, batchSize: 0 }, "expected 'batchSize' to be a positive whole number, got: 0"],
    ['batchSize 1.5', { ...counted, batchSize: 1.5 }, "expected 'batchSize' to be a positive whole number, got: 1.5"],
    ['an empty name', { ...counted, name: '' }, 'expected \'name\' to be a text of at least one character, got: ""'],
    ['partitions', { ...counted, partitions: 4 }, "expected 'partitions' to be 1, got: 4. It is not available yet"],
    ['durability', { ...counted, durability: 'outbox' }, 'expected no \'durability\' on a counter, got: "outbox"'],
    [
      'relation and polymorphic',
      { ...counted, polymorphic: { id: 'id', type: 'title', targets: () => ({}) } },
      "expected 'relation' or 'polymorphic', got both",
    ],
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
    ['a counter in where', { ...counted, where: { commentsCount: MoreThan(1) } }, ''],
  ];

  it.each(cases)('%s', async (_name, options, problem) => {
    const problems = await refusing(options);
    if (problem === '') expect(problems).toEqual([]);
    else expect(problems).toContainEqual(expect.stringContaining(problem));
  });

  it('with all its mistakes at once', async () => {
    const { Post, entities } = blog();
    defineCounterCache(Post, { relation: 'autor', column: 'postsCount', wait: -1, colum: 1 } as never);
    defineCounterCache(Post, { relation: 'editor', column: 'text' });
    expect(await problemsOf(entities)).toHaveLength(4);
  });
});

describe('declarations are refused together', () => {
  it('when one is made twice', async () => {
    const { Post, entities } = blog();
    defineCounterCache(Post, counted);
    defineCounterCache(Post, { ...counted, name: 'other' });
    expect(await problemsOf(entities)).toEqual([expect.stringContaining('expected to be declared once, got: twice')]);
  });

  it('when two have one name', async () => {
    const { Post, entities } = blog();
    defineCounterCache(Post, { ...counted, name: 'n' });
    defineCounterCache(Post, { relation: 'editor', column: 'draftsCount', name: 'n' });
    expect(await problemsOf(entities)).toEqual([
      expect.stringContaining("expected a name of its own, got: 'n', which"),
    ]);
  });

  it('when they reach one column by different keys', async () => {
    const { entities, User, Post } = blog();
    const Like = new EntitySchema<{ id: number; user: unknown }>({
      name: 'Like',
      columns: { id: { type: 'int', primary: true } },
      relations: {
        user: { type: 'many-to-one', target: User, joinColumn: { name: 'handle', referencedColumnName: 'handle' } },
      },
    });
    defineCounterCache(Post, counted);
    defineCounterCache(Like, { relation: 'user', column: 'postsCount' });
    const problems = await problemsOf([...entities, Like as never]);
    expect(problems).toEqual([
      expect.stringMatching(
        /Like.user → User.postsCount: expected to reach the target by the same key as Post.author → User.postsCount \(id\).*got: handle/,
      ),
    ]);
  });

  it.each([
    ['where', { where: { commentsCount: 1 } }],
    ['incrementBy', { incrementBy: 'commentsCount' }],
    ['reads', { if: () => true, reads: ['commentsCount'] }],
  ])('when one counts from another, in %s', async (option, more) => {
    const { Post, Comment, entities } = blog();
    defineCounterCache(Comment, { relation: 'post', column: 'commentsCount' });
    defineCounterCache(Post, { ...counted, ...more } as never);
    expect(await problemsOf(entities)).toEqual([
      expect.stringContaining(`expected '${option}' not to use a counter column, got: "commentsCount" of Post`),
    ]);
  });
});

describe('a polymorphic declaration is refused', () => {
  const { Post, Pair, entities } = blog();
  const right = { id: 'ownerId', type: 'kind', targets: () => ({ Post }) };
  const cases: [name: string, polymorphic: unknown, problem: string][] = [
    ['that is no object', 'owner', 'expected \'polymorphic\' to be { id, type, targets }, got: "owner"'],
    ['with an unknown option', { ...right, target: 1 }, "unknown option 'polymorphic.target', did you mean 'targets'?"],
    [
      'without id',
      { ...right, id: undefined },
      "expected 'polymorphic.id' to be a property of the source, got: undefined. Add it",
    ],
    [
      'with an unknown id',
      { ...right, id: 'ownerid' },
      "expected 'polymorphic.id' to be a column of Comment, got: 'ownerid', did you mean 'ownerId'?",
    ],
    [
      'with an unknown type',
      { ...right, type: 'knd' },
      "expected 'polymorphic.type' to be a column of Comment, got: 'knd', did you mean 'kind'?",
    ],
    [
      'with targets that are no function',
      { ...right, targets: { Post } },
      "expected 'polymorphic.targets' to be a function that returns { type: Entity, … }",
    ],
    [
      'without targets',
      { ...right, targets: () => ({}) },
      "expected 'polymorphic.targets' to be a function that returns { type: Entity, … }, got: an object",
    ],
    [
      'with targets that throw',
      {
        ...right,
        targets: () => {
          throw new Error('boom');
        },
      },
      "expected 'polymorphic.targets' to return entities, got an exception: boom",
    ],
    [
      'with a target that is no entity',
      { ...right, targets: () => ({ X: class X {} }) },
      "expected 'polymorphic.targets.X' to be an entity of this DataSource, got: function X",
    ],
    [
      'with a target of two primary columns',
      { ...right, targets: () => ({ Pair }) },
      "expected 'polymorphic.targets.Pair' to have one primary column, got: a, b of Pair",
    ],
    [
      'with an ignored target',
      { ...right, ignore: ['Post'] },
      "expected 'polymorphic.ignore' to list types without a target, got: 'Post'",
    ],
    [
      'with ignore of another type',
      { ...right, ignore: 'Post' },
      'expected \'polymorphic.ignore\' to be a list of types, got: "Post"',
    ],
  ];

  it.each(cases)('%s', async (_name, polymorphic, problem) => {
    @Entity()
    class Comment {
      @Column({ primary: true }) id!: number;
      @Column() kind!: string;
      @Column() ownerId!: number;
    }
    defineCounterCache(Comment, { polymorphic, column: 'commentsCount' } as never);
    expect(await problemsOf([...entities, Comment])).toContainEqual(expect.stringContaining(problem));
  });
});

describe('a place is refused', () => {
  it('when the database is another', async () => {
    const { Post, entities } = blog();
    defineCounterCache(Post, { ...counted, relation: 'nothing' });
    const problems = await problemsOf(entities, { type: 'cockroachdb' } as never);
    expect(problems).toEqual([
      "DataSource: expected 'type' to be 'postgres', got: 'cockroachdb'. Other databases are not available yet",
    ]);
  });

  it('when soft-deleted rows are to count, and none are', async () => {
    const { Comment, entities } = blog();
    defineCounterCache(Comment, { relation: 'post', column: 'commentsCount', includeSoftDeleted: true });
    expect(await problemsOf(entities)).toEqual([
      expect.stringContaining('expected Comment to have a @DeleteDateColumn'),
    ]);
  });

  it('when the target has no date to touch', async () => {
    const { Comment, entities } = blog();
    defineCounterCache(Comment, { relation: 'post', column: 'commentsCount', touch: true });
    expect(await problemsOf(entities)).toEqual([expect.stringContaining('expected Post to have an @UpdateDateColumn')]);
  });

  it('when a property is given another relation, is static, or polymorphic', async () => {
    const { Post, entities } = blog();
    CounterCache({ relation: 'editor', column: 'postsCount' })(Post.prototype, 'author');
    CounterCache({ column: 'draftsCount' })(Post, 'author');
    CounterCache({ column: 'postsCount', polymorphic: { id: 'id', type: 'title', targets: () => ({ Post }) } })(
      Post.prototype,
      'author',
    );
    const problems = await problemsOf(entities);
    expect(problems).toContainEqual(
      expect.stringContaining("expected 'relation' to be left out on a property, got: 'editor' on 'author'"),
    );
    expect(problems).toContainEqual(expect.stringContaining("got: the static property 'author'"));
    expect(problems).toContainEqual(expect.stringContaining("expected 'polymorphic' on the class, got: on a property"));
  });

  it('when decorators are not the legacy ones', () => {
    expect(() => CounterCache({ column: 'x' })(undefined as never, { kind: 'field' } as never)).toThrow(
      'experimentalDecorators',
    );
  });

  it('when the target is a foreign key', async () => {
    const { Comment, entities } = blog();
    defineCounterCache(Comment, { relation: 'post', column: 'authorId' });
    expect(await problemsOf(entities)).toEqual([expect.stringContaining('got: a foreign key')]);
  });

  it('when a view is counted', async () => {
    const { User, entities } = blog();
    @ViewEntity({ expression: 'SELECT 1' })
    class Seen {
      @Column({ primary: true }) id!: number;
      @ManyToOne(() => User) user!: object;
    }
    defineCounterCache(Seen, { relation: 'user', column: 'postsCount' });
    expect(await problemsOf([...entities, Seen])).toContainEqual(
      expect.stringContaining('expected the source to be a table, got: the view Seen'),
    );
  });
});

// Last: such classes stay known to the process, and are reported from now on.
describe('a class that is no entity is refused', () => {
  it('with the reason', async () => {
    class Plain {}
    abstract class Base {
      @Column() id!: number;
    }
    class Meta {
      @Column() a!: number;
    }
    @Entity()
    class Concrete extends Base {
      @Column({ primary: true }) key!: number;
      @Column(() => Meta) meta!: Meta;
    }
    abstract class Elsewhere {}
    @Entity()
    class Other extends Elsewhere {
      @Column({ primary: true }) key!: number;
    }
    for (const declared of [Plain, Base, Meta, Elsewhere, Other]) defineCounterCache(declared, counted as never);
    expect(await problemsOf([Concrete])).toEqual([
      'Plain: expected @CounterCache on an entity, got: a class without @Entity. Add @Entity, or remove the counter',
      'Base: expected @CounterCache on an entity, got: a class that entities extend. Counters are not inherited: decorate Concrete',
      "Meta: expected @CounterCache on an entity, got: a class that is embedded. Decorate the entity that embeds it, with 'relation' as a path, e.g. 'meta.author'",
    ]);
  });

  it('unless a schema of this DataSource maps it', async () => {
    class Mapped {
      id!: number;
    }
    const schema = new EntitySchema<Mapped>({
      name: 'Mapped',
      target: Mapped,
      columns: { id: { type: 'int', primary: true } },
    });
    defineCounterCache(Mapped, { relation: 'nothing', column: 'nothing' } as never);
    const problems = await problemsOf([schema as never]);
    expect(problems).toContainEqual(expect.stringContaining("unknown relation 'nothing' of Mapped. It has none"));
    expect(problems).not.toContainEqual(expect.stringContaining('Mapped: expected @CounterCache on an entity'));
  });
});
