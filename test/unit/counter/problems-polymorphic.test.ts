import { Column, Entity } from 'typeorm';

import { defineCounterCache } from '../../../src/declare/decorator';
import { blog, problemsOf } from './blog';

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
      { ...right, targets: () => ({ X: blog }) },
      "expected 'polymorphic.targets.X' to be an entity of this DataSource, got: function blog",
    ],
    [
      'with a target of two primary columns',
      { ...right, targets: () => ({ Pair }) },
      "expected 'polymorphic.targets.Pair' to have one primary column, got: a, b of Pair",
    ],
    [
      'with a path that ends in a dot',
      { ...right, path: 'author.' },
      "unknown relation 'author.' of Post, did you mean 'author'?",
    ],
    [
      'with a type named like a method of every object',
      { ...right, targets: () => ({ Post, constructor: Post }), path: { Post: 'author' } },
      "unknown column 'commentsCount' of User",
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

  it('whose id cannot hold the keys', async () => {
    @Entity()
    class Shop {
      @Column({ type: 'uuid', primary: true }) key!: string;
      @Column({ default: 0 }) count!: number;
    }
    @Entity()
    class Rating {
      @Column({ primary: true }) id!: number;
      @Column() kind!: string;
      @Column() ownerId!: number;
    }
    const polymorphic = { id: 'ownerId', type: 'kind', targets: () => ({ Shop }) } as const;
    defineCounterCache(Rating, { polymorphic, column: 'count' });
    expect(await problemsOf([Shop, Rating])).toEqual([
      "Rating.ownerId → Shop.count: expected 'polymorphic.id' to hold keys of Shop (uuid), got: 'ownerId', which is integer. Use text when the targets' keys differ in type",
    ]);
  });

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
