import { Column, Entity, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';

import { defineCounterCache } from '../../../src/declare/decorator';
import { problemsOf, refusing } from './blog';

const counted = { relation: 'author', column: 'postsCount' } as const;

describe('what does not fit the entities is refused', () => {
  const cases: [name: string, options: unknown, problem: string][] = [
    [
      'an unknown relation',
      { ...counted, relation: 'autor' },
      "Post.autor → ?.postsCount: unknown relation 'autor' of Post, did you mean 'author'?",
    ],
    [
      'an unknown relation like no other',
      { ...counted, relation: 'xyzzy' },
      "unknown relation 'xyzzy' of Post. It has author, editor",
    ],
    ['a column as relation', { ...counted, relation: 'authorId' }, "got: 'authorId', which is a column"],
    [
      'a path with an unknown step',
      { ...counted, relation: 'author.country' },
      "Post.author.country → ?.postsCount: unknown relation 'country' of User. It has none",
    ],
    [
      'a path that ends in a column',
      { ...counted, relation: 'author.handle' },
      "relation of User, got: 'handle', which is a column",
    ],
    [
      'one-to-many',
      { ...counted, relation: 'comments' },
      "got: 'comments' of Post, which is one-to-many. Declare the counter on the entity that has the foreign key",
    ],
    [
      'the inverse one-to-one',
      { ...counted, relation: 'cover' },
      "got: 'cover' of Post, which is one-to-one and not the owner",
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
      'an unknown column in columns',
      { ...counted, column: () => null, columns: ['postCount'] },
      "unknown column 'postCount' of User, did you mean 'postsCount'?",
    ],
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
      'an unknown read',
      { ...counted, reads: ['titel'] },
      "unknown property 'titel' of Post, in 'reads', did you mean 'title'?",
    ],
    ['a computed read', { ...counted, reads: ['virtual'] }, "unknown property 'virtual' of Post, in 'reads'"],
    [
      'an unknown method',
      { ...counted, method: 'count' },
      "expected 'method' to be a method of User, got: 'count', which it has not",
    ],
  ];

  it.each(cases)('%s', async (_name, options, problem) => {
    expect(await refusing(options)).toContainEqual(expect.stringContaining(problem));
  });
});

describe('a key that has several spellings is refused', () => {
  it.each(['date', 'timestamptz', 'bytea', 'citext', 'real'] as const)('%s', async (type) => {
    @Entity()
    class Target {
      @PrimaryColumn({ type }) key!: string;
      @Column({ default: 0 }) count!: number;
    }
    @Entity()
    class Source {
      @PrimaryGeneratedColumn() id!: number;
      @ManyToOne(() => Target) target!: object;
    }
    defineCounterCache(Source, { relation: 'target', column: 'count' });
    expect(await problemsOf([Source, Target])).toEqual([
      expect.stringContaining('expected the key of Target to have one spelling per value, got: "key"'),
    ]);
  });
});
