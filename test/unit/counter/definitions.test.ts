import { Column, Entity, EntitySchema, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';

import { CounterCache, defineCounterCache } from '../../../src/declare/decorator';
import type { Counter, Definitions } from '../../../src/model/definition';
import { blog, definitionsOf, problemsOf } from './blog';

const counted = { relation: 'author', column: 'postsCount' };

async function resolve(options: object): Promise<Counter> {
  const { Post, entities } = blog();
  defineCounterCache(Post, options as never);
  const [counter] = (await definitionsOf(entities)).counters;
  if (counter === undefined) throw new Error('no counter');
  return counter;
}

describe('a counter', () => {
  it('is resolved with its defaults', async () => {
    const counter = await resolve(counted);
    expect(counter).toMatchObject({
      name: 'Post.author>User.postsCount',
      label: 'Post.author → User.postsCount',
      amount: { from: 'constant', value: 1 },
      wait: null,
      recalculation: { delay: null },
      method: null,
      flushAt: null,
      deletedColumn: 'deleted_at',
      discriminator: null,
      typeColumn: null,
      sql: true,
    });
    expect([...counter.relevant]).toEqual(['authorId', 'deleted_at']);
    const [target] = counter.targets;
    expect(target).toMatchObject({ foreignKeys: [{ name: 'authorId', sqlType: 'integer' }], type: null, touch: null });
    expect(target?.targetTable).toMatchObject({
      id: 'user:id',
      tablePath: 'user',
      keys: [{ name: 'id', sqlType: 'integer' }],
    });
    const column = target?.columns.get('postsCount');
    expect(column).toMatchObject({ name: 'postsCount', property: 'postsCount', scale: 0, sqlType: 'integer' });
    expect(column?.counters).toEqual([counter]);
    expect(column?.targetTable).toBe(target?.targetTable);
    expect(Object.isFrozen(counter)).toBe(true);
  });

  it('takes a column of any exact type, also an embedded one', async () => {
    expect((await resolve({ ...counted, column: 'viewsCount' })).targets[0]?.columns.get('viewsCount')).toMatchObject({
      sqlType: 'bigint',
      scale: 0,
    });
    expect((await resolve({ ...counted, column: 'earnings' })).targets[0]?.columns.get('earnings')).toMatchObject({
      sqlType: 'numeric',
      scale: 2,
    });
    expect(
      (await resolve({ ...counted, column: 'stats.nested' })).targets[0]?.columns.get('stats.nested'),
    ).toMatchObject({ name: 'statsNested' });
  });

  it('touches the update date, or another', async () => {
    expect((await resolve({ ...counted, touch: true })).targets[0]?.touch).toMatchObject({
      name: 'updatedAt',
      sqlType: 'timestamp without time zone',
    });
    expect((await resolve({ ...counted, touch: 'postedAt' })).targets[0]?.touch).toMatchObject({
      name: 'postedAt',
      sqlType: 'timestamp with time zone',
    });
  });

  it('looks at the columns that it names, and at those that its functions read', async () => {
    const sorted = (names: Iterable<string>): string[] => [...names].toSorted();
    const all = [
      'authorId',
      'commentsCount',
      'deleted_at',
      'editorId',
      'id',
      'loose',
      'price',
      'published',
      'rating',
      'scores',
      'title',
      'views',
    ];
    const named = await resolve({
      ...counted,
      incrementBy: 'views',
      where: { published: true },
      includeSoftDeleted: true,
    });
    expect(sorted(named.relevant)).toEqual(['authorId', 'published', 'views']);
    const functions = await resolve({ ...counted, if: () => true });
    expect(sorted(functions.relevant)).toEqual(all);
    const reading = await resolve({ ...counted, if: () => true, reads: ['title', 'editor'] });
    expect(sorted(reading.relevant)).toEqual(['authorId', 'deleted_at', 'editorId', 'title']);
    const waiting = await resolve({ ...counted, wait: () => 5, reads: ['title'] });
    expect(sorted(waiting.relevant)).toEqual(['authorId', 'deleted_at']);
    expect(sorted(waiting.needs)).toEqual(['authorId', 'deleted_at', 'title']);
  });

  it('is recounted by SQL unless a function decides', async () => {
    expect((await resolve({ ...counted, where: { published: true }, wait: () => 1 })).sql).toBe(true);
    expect((await resolve({ ...counted, if: () => true })).sql).toBe(false);
    expect((await resolve({ ...counted, incrementBy: () => 1 })).sql).toBe(false);
    expect((await resolve({ ...counted, column: () => 'postsCount', columns: ['postsCount'] })).sql).toBe(false);
    expect((await resolve({ ...counted, method: 'recount' })).sql).toBe(false);
  });

  it('calls the method of the target', async () => {
    const { method } = await resolve({ ...counted, method: 'recount' });
    await expect(method?.(Object.create(blog().User.prototype) as object, {} as never)).resolves.toBe(1);
    await expect(method?.({}, {} as never)).rejects.toThrow('recount is not a method of the target');
  });

  it('reacts to every update when a column it looks at is derived from others', async () => {
    @Entity()
    class Parent {
      @PrimaryColumn() id!: number;
      @Column({ default: 0 }) total!: number;
    }
    @Entity()
    @CounterCache({ relation: 'parent', column: 'total', incrementBy: 'sum' })
    class Child {
      @PrimaryColumn() id!: number;
      @Column() a!: number;
      @Column({ type: 'int', asExpression: 'a + 1', generatedType: 'STORED' }) sum!: number;
      @ManyToOne(() => Parent) parent!: Relation<Parent>;
    }
    const [counter] = (await definitionsOf([Parent, Child])).counters;
    expect([...(counter?.relevant ?? [])].toSorted()).toEqual(['a', 'id', 'parentId', 'sum']);
  });
});

describe('declarations', () => {
  it('stack on a class, infer the relation of a property, and share columns', async () => {
    const { Post, User, entities } = blog();
    CounterCache({ column: 'postsCount' })(Post.prototype, 'author');
    CounterCache({ relation: 'author', column: 'draftsCount' })(Post);
    CounterCache({ relation: 'editor', column: 'postsCount' })(Post);
    const definitions = await definitionsOf(entities);
    expect(definitions.counters.map(({ name }) => name)).toEqual([
      'Post.editor>User.postsCount',
      'Post.author>User.draftsCount',
      'Post.author>User.postsCount',
    ]);
    expect([...definitions.targetTables.keys()]).toEqual(['user:id']);
    expect(definitions.targetTables.get('user:id')?.columns.get('postsCount')?.counters).toHaveLength(2);
    expect(columnsOf(definitions, User)).toEqual(['draftsCount', 'postsCount']);
  });

  it('are read from EntitySchemas', async () => {
    const Author = new EntitySchema<{ id: number; n: number }>({
      name: 'Author',
      columns: { id: { type: 'int', primary: true }, n: { type: 'int', default: 0 } },
    });
    const Book = new EntitySchema<{ id: number; author: unknown }>({
      name: 'Book',
      columns: { id: { type: 'int', primary: true } },
      relations: { author: { type: 'many-to-one', target: 'Author' } },
    });
    defineCounterCache(Book, { relation: 'author', column: 'n' });
    const definitions = await definitionsOf([Author as never, Book as never]);
    expect(definitions.counters.map(({ name }) => name)).toEqual(['Book.author>Author.n']);
  });

  it('of an entity of another DataSource are none of our business', async () => {
    const { Post } = blog();
    defineCounterCache(Post, { relation: 'nothing', column: 'nothing' } as never);
    expect(await problemsOf(blog().entities)).toEqual([]);
  });

  it('choose among polymorphic targets', async () => {
    const { User, Post, entities } = blog();
    @Entity()
    class Rating {
      @PrimaryColumn() id!: number;
      @Column() type!: string;
      @Column({ type: 'text' }) rateableId!: string;
    }
    @Entity()
    class Shop {
      @PrimaryColumn('uuid') key!: string;
      @Column({ default: 0 }) postsCount!: number;
    }
    defineCounterCache(Rating, {
      polymorphic: {
        id: 'rateableId',
        type: 'type',
        targets: () => ({ user: User, shop: Shop, admin: User }),
        ignore: ['post'],
      },
      column: 'postsCount',
    });
    const [counter] = (await definitionsOf([...entities, Rating, Shop])).counters;
    expect(counter).toMatchObject({ name: 'Rating.rateableId>User|Shop.postsCount', typeColumn: 'type' });
    expect(counter?.ignoredTypes).toEqual(new Set(['post']));
    expect(counter?.targets.map(({ targetTable, type }) => [targetTable.id, type?.value])).toEqual([
      ['user:id', 'user'],
      ['shop:key', 'shop'],
      ['user:id', 'admin'],
    ]);
    expect([...(counter?.relevant ?? [])]).toEqual(['rateableId', 'type']);
    expect(Post).toBeDefined();
  });

  it('reach a target by any referenced key, whatever the order of the join columns', async () => {
    const { Pair, entities } = blog();
    @Entity()
    class Item {
      @PrimaryColumn() id!: number;
      @ManyToOne(() => Pair) pair!: object;
    }
    defineCounterCache(Item, { relation: 'pair', column: 'commentsCount' });
    const [counter] = (await definitionsOf([...entities, Item])).counters;
    expect(counter?.targets[0]).toMatchObject({
      targetTable: { id: 'pair:a,b' },
      foreignKeys: [{ name: 'pairA' }, { name: 'pairB' }],
    });
  });
});

function columnsOf({ counterColumnsOf }: Definitions, target: unknown): string[] {
  const [, names] = [...counterColumnsOf].find(([metadata]) => metadata.target === target) ?? [];
  return [...(names ?? [])].toSorted();
}
