import { expectTypeOf } from 'expect-type';
import {
  And,
  Any,
  ArrayContains,
  EntitySchema,
  type FindOptionsWhere,
  In,
  IsNull,
  LessThan,
  Like,
  Not,
  Or,
} from 'typeorm';

import { CounterCache, defineCounterCache } from '../../../src/declare/decorator';
import type { CounterCacheOptions } from '../../../src/declare/options';

interface Owner {
  postsCount: number;
  updatedAt: Date;
  stats: { total: number };
}

interface Item {
  id: number;
  owner: Owner;
  published: boolean;
  price: string;
  weight: number;
  tags: string[];
}

/** Checked by the compiler; a decorator alone does nothing. */
describe('the options', () => {
  it('are typed by source and target', () => {
    CounterCache<Item, Owner>({
      relation: 'owner',
      column: 'postsCount',
      touch: 'updatedAt',
      incrementBy: 'weight',
      reads: ['published'],
      if: ({ published }) => published,
      where: { published: true, price: Not(IsNull()), weight: In([1, 2]) },
      wait: ({ weight }) => weight,
      method: async (owner, manager) => (await manager.query('SELECT 1'), owner.postsCount),
    });
    CounterCache<Item, Owner>({ relation: 'owner', column: 'stats.total' });
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postsCount', mode: 'outbox' });
    // @ts-expect-error -- no such mode
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postsCount', mode: 'none' });
    CounterCache<Item, Owner>({
      relation: 'owner',
      column: ({ published }) => (published ? 'postsCount' : null),
      columns: ['postsCount'],
      incrementBy: ({ price }) => BigInt(price),
    });
    // @ts-expect-error -- no such relation
    CounterCache<Item, Owner>({ relation: 'ownr', column: 'postsCount' });
    // @ts-expect-error -- no such column
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postCount' });
    // @ts-expect-error -- no such option
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postsCount', colum: 'x' });
    // @ts-expect-error -- no such property
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postsCount', reads: ['publishd'] });
    // @ts-expect-error -- text is no amount
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postsCount', incrementBy: ({ price }) => price });
    // @ts-expect-error -- a condition is synchronous
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postsCount', if: async () => true });
    // @ts-expect-error -- not available yet
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postsCount', partitions: 4 });
    type Options = CounterCacheOptions<Item, Owner>;
    expectTypeOf(CounterCache<Item, Owner>)
      .parameter(0)
      .toEqualTypeOf<Options>();
    expectTypeOf<Options['if']>().toEqualTypeOf<((source: Item) => boolean) | undefined>();
    expectTypeOf<'stats.total'>().toExtend<Options['column']>();
    expectTypeOf<'postCount'>().not.toExtend<Options['column']>();
    expectTypeOf<'weight'>().toExtend<Options['incrementBy']>();
    expectTypeOf<(source: Item) => string>().not.toExtend<Options['incrementBy']>();
    expectTypeOf<(source: Item) => Promise<boolean>>().not.toExtend<Options['if']>();
  });

  it('take one condition or a list of alternatives', () => {
    CounterCache<Item, Owner>({
      relation: 'owner',
      column: 'postsCount',
      where: [
        { price: And(Like('1%'), Not(IsNull())), weight: Or(IsNull(), LessThan(3)) },
        { tags: ArrayContains(['a']), weight: Any([1, 2]) },
      ],
    });
    const alternatives: readonly FindOptionsWhere<Item>[] = [{ published: true }];
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postsCount', where: alternatives });
    CounterCache({ relation: 'owner', column: 'postsCount', where: [{ published: true }, { weight: 1 }] });
    // @ts-expect-error -- no such property
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postsCount', where: { publishd: true } });
    // @ts-expect-error -- no such property
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postsCount', where: [{ publishd: true }] });
    // @ts-expect-error -- no text
    CounterCache<Item, Owner>({ relation: 'owner', column: 'postsCount', where: [{ published: true }, { price: 5 }] });
    type Where = FindOptionsWhere<Item>;
    expectTypeOf<CounterCacheOptions<Item, Owner>['where']>().toEqualTypeOf<Where | readonly Where[] | undefined>();
  });

  it('need no type arguments', () => {
    CounterCache({ relation: 'owner', column: 'postsCount', incrementBy: 'weight', where: { published: true } });
    CounterCache({ relation: 'owner', column: 'postsCount', if: (source) => source['published'] === true });
    CounterCache({ relation: 'owner', column: 'postsCount', if: ({ published }: Item) => published });
    // @ts-expect-error -- the function tells the source
    CounterCache({ relation: 'ownr', column: 'postsCount', if: ({ published }: Item) => published });
    CounterCache({
      polymorphic: {
        id: 'ownerId',
        type: 'ownerType',
        targets: () => ({ Owner: Date, Shop: new EntitySchema<Item>({ name: 'Shop', columns: {} }) }),
      },
      column: 'postsCount',
    });
    expectTypeOf(defineCounterCache).returns.toBeVoid();
  });

  it('take their source from the class or schema that they are defined for', () => {
    abstract class Base {
      abstract owner: Owner;
      abstract published: boolean;
    }
    const schema = new EntitySchema<Item>({ name: 'Item', columns: {} });
    const define = (): void => {
      defineCounterCache(Base, { relation: 'owner', column: 'postsCount', if: ({ published }) => published });
      defineCounterCache(schema, { relation: 'owner', column: 'postsCount', if: ({ published }) => published });
      // @ts-expect-error -- no such relation
      defineCounterCache(schema, { relation: 'ownr', column: 'postsCount' });
    };
    expect(define).toBeInstanceOf(Function);
  });
});
