import { Column, Entity, JoinColumn, ManyToOne, ViewEntity } from 'typeorm';

import { CounterCache, defineCounterCache } from '../../../src/declare/decorator';
import { blog, problemsOf } from './blog';

const counted = { relation: 'author', column: 'postsCount' } as const;

describe('declarations are refused together', () => {
  it('with all its mistakes at once', async () => {
    const { Post, entities } = blog();
    defineCounterCache(Post, { relation: 'autor', column: 'postsCount', wait: -1, colum: 1 } as never);
    defineCounterCache(Post, { relation: 'editor', column: 'text' } as never);
    expect(await problemsOf(entities)).toHaveLength(4);
  });

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
    @Entity()
    class Favourite {
      @Column({ primary: true }) id!: number;
      @ManyToOne(() => User)
      @JoinColumn({ referencedColumnName: 'handle' })
      user!: object;
    }
    defineCounterCache(Post, counted);
    defineCounterCache(Favourite, { relation: 'user', column: 'postsCount' });
    const problems = await problemsOf([...entities, Favourite]);
    expect(problems).toEqual([
      expect.stringMatching(
        /Favourite.user → User.postsCount: expected to reach the target by the same key as Post.author → User.postsCount \(id\).*got: handle/,
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

describe('a place is refused', () => {
  it('when the database is another', async () => {
    const { Post, entities } = blog();
    defineCounterCache(Post, { ...counted, relation: 'nothing' } as never);
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
    CounterCache({ column: 'draftsCount' } as never)(Post, 'author');
    CounterCache({
      column: 'postsCount',
      polymorphic: { id: 'id', type: 'title', targets: () => ({ Post }) },
    } as never)(Post.prototype, 'author');
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
