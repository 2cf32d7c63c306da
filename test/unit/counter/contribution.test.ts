import { ChildEntity, Column, Entity, ManyToOne, PrimaryColumn, type Relation, TableInheritance } from 'typeorm';

import { contributionOf, waitOf } from '../../../src/model/contribution';
import { defineCounterCache } from '../../../src/declare/decorator';
import type { Counter, Row } from '../../../src/model/definition';
import { AmountError, CounterCacheError } from '../../../src/errors';
import { blog, definitionsOf } from './blog';

const counted = { relation: 'author', column: 'postsCount' };

const row: Row = {
  id: 7,
  title: 'Hello',
  published: true,
  views: 3,
  price: '1.250',
  authorId: 5,
  editorId: 6,
  deleted_at: null,
};

async function resolve(options: object): Promise<Counter> {
  const { Post, entities } = blog();
  defineCounterCache(Post, options as never);
  return single(entities);
}

async function single(entities: Parameters<typeof definitionsOf>[0]): Promise<Counter> {
  const [counter] = (await definitionsOf(entities)).counters;
  if (counter === undefined) throw new Error('no counter');
  return counter;
}

/** Column, target and amount that a row contributes. */
async function contributed(options: object, change: Row = {}): Promise<unknown> {
  const contribution = contributionOf(await resolve({ ...counted, ...options }), { ...row, ...change });
  return contribution === null ? null : [contribution.column.name, contribution.target, contribution.amount];
}

describe('a row contributes', () => {
  it('one, by default', async () => {
    expect(await contributed({})).toEqual(['postsCount', 'user:id:5', 1n]);
  });

  it('an amount: constant, of a column, of a function, at the scale of the counter', async () => {
    expect(await contributed({ incrementBy: -2 })).toEqual(['postsCount', 'user:id:5', -2n]);
    expect(await contributed({ incrementBy: 'views' })).toEqual(['postsCount', 'user:id:5', 3n]);
    expect(await contributed({ incrementBy: 'views' }, { views: '9007199254740993' })).toContain(9007199254740993n);
    expect(await contributed({ column: 'earnings', incrementBy: 'views' })).toEqual(['earnings', 'user:id:5', 300n]);
    expect(await contributed({ column: 'earnings', incrementBy: 0.25 })).toEqual(['earnings', 'user:id:5', 25n]);
    expect(await contributed({ incrementBy: ({ title }: { title: string }) => title.length })).toContain(5n);
  });

  it('to the column that a function picks', async () => {
    const options = {
      column: ({ published }: { published: boolean }) => (published ? 'postsCount' : 'draftsCount'),
      columns: ['postsCount', 'draftsCount'],
    };
    expect(await contributed(options)).toEqual(['postsCount', 'user:id:5', 1n]);
    expect(await contributed(options, { published: false })).toEqual(['draftsCount', 'user:id:5', 1n]);
    expect(await contributed({ ...options, column: () => null })).toBeNull();
  });

  it('with the timestamp to touch', async () => {
    expect(contributionOf(await resolve({ ...counted, touch: 'postedAt' }), row)?.touch?.name).toBe('postedAt');
  });
});

describe('a row contributes nothing', () => {
  it.each<[string, object, Row]>([
    ['without a target', {}, { authorId: null }],
    ['when it is soft-deleted', {}, { deleted_at: new Date() }],
    ['when where is false', { where: { published: true } }, { published: false }],
    ['when where is unknown', { where: { published: true } }, { published: null }],
    ['when its condition is false', { if: () => false }, {}],
    ['when its amount is NULL', { incrementBy: 'views' }, { views: null }],
    ['when its amount is 0', { incrementBy: 'views' }, { views: 0 }],
  ])('%s', async (_name, options, change) => {
    expect(await contributed(options, change)).toBeNull();
  });

  it('unless soft-deleted rows count too', async () => {
    expect(await contributed({ includeSoftDeleted: true }, { deleted_at: new Date() })).not.toBeNull();
  });

  it('and no function is asked about a row without target', async () => {
    const condition = jest.fn();
    expect(await contributed({ if: condition }, { authorId: null })).toBeNull();
    expect(condition).not.toHaveBeenCalled();
  });
});

describe('a write is rejected', () => {
  const boom = (): never => {
    throw new Error('boom');
  };

  it.each([
    ['if', { if: boom }],
    ['incrementBy', { incrementBy: boom }],
    ['column', { column: boom, columns: ['postsCount'] }],
  ])('when %s throws', async (option, options) => {
    const counter = await resolve({ ...counted, ...options });
    const attempt = (): unknown => contributionOf(counter, row);
    expect(attempt).toThrow(CounterCacheError);
    expect(attempt).toThrow(`Post.author → User.postsCount: expected '${option}' to return, got an exception: boom`);
    expect(attempt).toThrow(expect.objectContaining({ cause: new Error('boom') }) as Error);
  });

  it.each([
    [
      'an asynchronous condition',
      { if: () => Promise.resolve(false) },
      "expected 'if' to return a boolean, got: a Promise",
    ],
    [
      'an unlisted column',
      { column: () => 'viewsCount', columns: ['postsCount'] },
      "expected 'column' to return null or one of postsCount, got: \"viewsCount\". List it in 'columns'",
    ],
    [
      'an amount that is no number',
      { incrementBy: () => '5' },
      'expected incrementBy to be a finite number or a bigint, got: "5"',
    ],
    [
      'an amount with too many digits',
      { incrementBy: () => 0.5 },
      'expected incrementBy to be a whole number, got: 0.5',
    ],
  ])('by %s', async (_name, options, message) => {
    const counter = await resolve({ ...counted, ...options });
    const attempt = (): unknown => contributionOf(counter, row);
    expect(attempt).toThrow(AmountError);
    expect(attempt).toThrow(message);
  });

  it('by an amount column that is no number', async () => {
    await expect(contributed({ incrementBy: 'views' }, { views: 'NaN' })).rejects.toThrow(
      'expected column "views" to be a decimal number, got: "NaN"',
    );
  });
});

describe('functions see', () => {
  it('an instance of the class, hydrated once, without relations', async () => {
    const seen: object[] = [];
    const see = (source: object): boolean => seen.push(source) > 0;
    const { Post, entities } = blog();
    defineCounterCache(Post, {
      ...counted,
      if: see,
      incrementBy: (source: object) => (see(source) ? 1 : 0),
      wait: see,
    } as never);
    const counter = await single(entities);
    contributionOf(counter, row);
    waitOf(counter, row, 1, () => undefined);
    expect(seen).toHaveLength(3);
    expect(new Set(seen).size).toBe(1);
    expect(seen[0]).toBeInstanceOf(Post);
    expect(seen[0]).toMatchObject({ id: 7, title: 'Hello', authorId: 5, deletedAt: null, price: '1.250' });
  });

  it('values as TypeORM gives them: transformed, embedded, of the child class; a lazy relation is not there', async () => {
    class Name {
      @Column() first!: string;
    }
    @Entity()
    class Owner {
      @PrimaryColumn() id!: number;
      @Column({ default: 0 }) n!: number;
    }
    @Entity()
    @TableInheritance({ column: { name: 'type', type: 'varchar' } })
    class Pet {
      @PrimaryColumn() id!: number;
      @Column({ type: 'varchar', transformer: { to: String, from: (value: string) => value.toUpperCase() } })
      tag!: string;
      @Column({ type: 'timestamp' }) bornAt!: Date;
      @Column(() => Name) name!: Name;
      @ManyToOne(() => Owner) owner!: Relation<Owner>;
      @ManyToOne(() => Owner, { lazy: true }) vet!: Promise<Owner>;
    }
    @ChildEntity('dog')
    class Dog extends Pet {}
    const seen: Pet[] = [];
    defineCounterCache(Pet, { relation: 'owner', column: 'n', if: (pet: Pet) => seen.push(pet) > 0 } as never);
    const counter = await single([Owner, Pet, Dog]);
    const bornAt = new Date(5);
    contributionOf(counter, { id: 1, tag: 'rex', bornAt, nameFirst: 'Rex', ownerId: 2, vetId: 3, type: 'dog' });
    expect(seen[0]).toBeInstanceOf(Dog);
    expect(seen[0]).toMatchObject({ id: 1, tag: 'REX', bornAt, name: { first: 'Rex' } });
    expect(seen[0]?.vet).toBeUndefined();
  });
});

describe('a polymorphic row', () => {
  async function rating(): Promise<Counter> {
    const { User, entities } = blog();
    @Entity()
    class Rating {
      @PrimaryColumn() id!: number;
      @Column() type!: string;
      @Column({ type: 'varchar' }) key!: string;
    }
    @Entity()
    class Shop {
      @PrimaryColumn('uuid') key!: string;
      @Column({ default: 0 }) postsCount!: number;
    }
    defineCounterCache(Rating, {
      polymorphic: { id: 'key', type: 'type', targets: () => ({ user: User, shop: Shop }), ignore: ['post'] },
      column: 'postsCount',
    });
    return single([...entities, Rating, Shop]);
  }

  it('finds its target by type', async () => {
    const counter = await rating();
    const uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
    expect(contributionOf(counter, { type: 'user', key: '5' })?.target).toBe('user:id:5');
    expect(contributionOf(counter, { type: 'shop', key: uuid })?.target).toBe(`shop:key:${uuid}`);
  });

  it.each([
    ['user', null],
    ['user', ''],
    ['user', '05'],
    ['user', 'five'],
    ['user', '2147483648'],
    ['shop', '5'],
    ['shop', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
  ])('of type %s has no target when its id is %p, which equals no key', async (type, key) => {
    expect(contributionOf(await rating(), { type, key })).toBeNull();
  });

  it('of an unknown type counts nowhere, and is reported unless ignored', async () => {
    const counter = await rating();
    const unknown: string[] = [];
    const report = (_counter: Counter, type: string): unknown => unknown.push(type);
    for (const type of ['robot', 'post', null]) expect(contributionOf(counter, { type, key: '5' }, report)).toBeNull();
    expect(unknown).toEqual(['robot']);
  });
});

describe('the discriminator', () => {
  it('keeps rows of other classes out', async () => {
    const counter: Counter = {
      ...(await resolve(counted)),
      discriminator: { column: 'type', values: ['Photo', 'pano'] },
    };
    expect(contributionOf(counter, { ...row, type: 'pano' })).not.toBeNull();
    expect(contributionOf(counter, { ...row, type: 'Video' })).toBeNull();
    expect(contributionOf(counter, { ...row, type: null })).toBeNull();
  });
});

describe('waitOf', () => {
  it.each<[string, object, number]>([
    ['the fallback', {}, 1000],
    ['a constant', { wait: 5 }, 5],
    ['a function', { wait: ({ views }: { views: number }) => views * 1.5 }, 5],
    ['zero', { wait: () => 0 }, 0],
  ])('takes %s', async (_name, options, expected) => {
    const onError = jest.fn();
    expect(waitOf(await resolve({ ...counted, ...options }), row, 1000, onError)).toBe(expected);
    expect(onError).not.toHaveBeenCalled();
  });

  it.each<[string, () => unknown, string]>([
    ['a negative', () => -1, 'got: -1. Using 1000 ms'],
    ['NaN', () => Number.NaN, 'got: NaN'],
    ['Infinity', () => Infinity, 'got: Infinity'],
    ['text', () => '5', 'got: "5"'],
    [
      'an exception',
      () => {
        throw new Error('boom');
      },
      'got an exception: boom',
    ],
  ])('survives %s', async (_name, wait, message) => {
    const errors: Error[] = [];
    expect(waitOf(await resolve({ ...counted, wait }), row, 1000, (error) => errors.push(error))).toBe(1000);
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining(message) as string })]);
  });
});
