import { EntitySchema, type Relation } from 'typeorm';
import { CounterCache, defineCounterCache, type NumericText } from 'typeorm-counter-cache';

class User {
  postsCount!: number;
  likesSum!: bigint;
  optional?: NumericText | null;
  score!: { toNumber(): number } | null;
  name!: string;
  isAdmin!: boolean;
  seenAt!: Date | null;
  day?: `${number}-${number}-${number}`;
  posts!: Post[];
  stats!: { total: number; text: string; deep: { n: number; text: string } };
  rename(): void {}
}
class Store {
  postsCount!: number;
  ordersCount!: number;
  owner!: User;
}
class Admin extends User {
  rights!: number;
}

/** Checked by the compiler: without type arguments, the target follows from the relation. */
describe('a counter on a relation property', () => {
  it('takes a number of the target', () => {
    class Good {
      weight!: number;
      price!: NumericText;
      @CounterCache({ column: 'postsCount' }) plain!: Relation<User>;
      @CounterCache({ column: 'likesSum' }) bigint!: User | null;
      @CounterCache({ column: 'optional' }) optional?: User;
      @CounterCache({ column: 'score' }) decimal?: User | null;
      @CounterCache({ column: 'postsCount' }) lazy!: Promise<User | null>;
      @CounterCache({ column: 'postsCount' }) inherited!: Admin;
      @CounterCache({ column: 'postsCount' }) either!: User | Store;
      @CounterCache({ column: 'stats.total' }) embedded!: User;
      @CounterCache({ column: 'stats.deep.n' }) deeper!: User;
      @CounterCache({ column: 'postsCount', incrementBy: 'weight', touch: 'seenAt' }) weighed!: User;
      @CounterCache({ column: 'postsCount', incrementBy: 'price', touch: 'day' }) priced!: User;
      @CounterCache({ column: 'postsCount', touch: true, reads: ['weight'], where: { weight: 3 } }) more!: User;
      @CounterCache({ column: 'postsCount', if: ({ weight }: Good) => weight > 1 }) annotated!: User;
      @CounterCache({ column: 'postsCount', if: (source) => source['weight'] === 1 }) untyped!: User;
      @CounterCache({ column: () => 'postsCount', columns: ['postsCount', 'likesSum'] }) dynamic!: User;
      @CounterCache({ column: 'postsCount' }) unknown!: object;
      @CounterCache<Good, User>({ column: 'postsCount' }) named!: User;
    }
    expect(Good).toBeDefined();
  });

  it('takes it in an abstract and generic class', () => {
    abstract class Base<Payload, Owner extends { itemsCount: number; at: Date }> {
      abstract payload: Payload;
      abstract earlier: Payload | null;
      weight!: number;
      @CounterCache({ column: 'postsCount' }) user!: User;
      @CounterCache({ column: 'itemsCount', touch: 'at', incrementBy: 'weight' }) owner!: Owner;
      // @ts-expect-error -- what the type parameter extends has no such property
      @CounterCache({ column: 'likesCount' }) wrong!: Owner;
      // @ts-expect-error -- of another type
      @CounterCache({ column: 'at' }) date!: Owner;
    }
    expect(Base).toBeDefined();
  });

  it('takes nothing else', () => {
    class Bad {
      flag!: boolean;
      title!: string;
      // @ts-expect-error -- no such property
      @CounterCache({ column: 'postCount' }) missing!: User;
      // @ts-expect-error -- a method
      @CounterCache({ column: 'rename' }) method!: User;
      // @ts-expect-error -- text
      @CounterCache({ column: 'name' }) text!: User;
      // @ts-expect-error -- a boolean
      @CounterCache({ column: 'isAdmin' }) boolean!: User;
      // @ts-expect-error -- a date
      @CounterCache({ column: 'seenAt' }) date!: User;
      // @ts-expect-error -- another class's property
      @CounterCache({ column: 'ordersCount' }) foreign!: User;
      // @ts-expect-error -- a property of the source
      @CounterCache({ column: 'flag' }) own!: User;
      // @ts-expect-error -- only one of the two has it
      @CounterCache({ column: 'ordersCount' }) either!: User | Store;
      // @ts-expect-error -- embedded text
      @CounterCache({ column: 'stats.text' }) embedded!: User;
      // @ts-expect-error -- text further below
      @CounterCache({ column: 'stats.deep.text' }) deeper!: User;
      // @ts-expect-error -- text among the columns
      @CounterCache({ column: () => 'postsCount', columns: ['postsCount', 'name'] }) dynamic!: User;
      // @ts-expect-error -- a number is touched
      @CounterCache({ column: 'postsCount', touch: 'likesSum' }) touched!: User;
      // @ts-expect-error -- a boolean is no amount
      @CounterCache({ column: 'postsCount', incrementBy: 'flag' }) amount!: User;
      // @ts-expect-error -- text is no amount
      @CounterCache({ column: 'postsCount', incrementBy: 'title' }) wordy!: User;
      // @ts-expect-error -- no such property is read
      @CounterCache({ column: 'postsCount', reads: ['flags'] }) read!: User;
      // @ts-expect-error -- no such property is compared
      @CounterCache({ column: 'postsCount', where: { flags: true } }) where!: User;
      // @ts-expect-error -- no such option
      @CounterCache({ column: 'postsCount', colum: 'postsCount' }) option!: User;
      // @ts-expect-error -- a relation to many
      @CounterCache({ column: 'postsCount' }) many!: User[];
      // @ts-expect-error -- no relation
      @CounterCache({ column: 'postsCount' }) number!: number;
      // @ts-expect-error -- a function of another class
      @CounterCache({ column: 'postsCount', if: ({ owner }: Store) => owner.isAdmin }) other!: User;
      // @ts-expect-error -- the type arguments name another class
      @CounterCache<Store, User>({ column: 'postsCount' }) named!: User;
    }
    expect(Bad).toBeDefined();
  });
});

describe('a counter on a class', () => {
  it('finds its target by the relation, the junction or the types', () => {
    @CounterCache({ relation: 'author', column: 'postsCount' })
    @CounterCache({ relation: 'store.owner', column: 'likesSum' })
    @CounterCache({ relation: 'meta.editor', column: 'postsCount' })
    @CounterCache({ junction: 'tags', column: 'tagsCount' })
    @CounterCache({ polymorphic: { id: 'id', type: 'type', targets: () => ({ User, Store }) }, column: 'postsCount' })
    @CounterCache({
      polymorphic: { id: 'id', type: 'type', targets: () => ({ User, Store }), path: { Store: 'owner' } },
      column: 'likesSum',
    })
    class Good {
      id!: number;
      type!: string;
      author!: Relation<User>;
      store!: Promise<Store>;
      meta!: { editor: User | null };
      tags!: Store[];
      tagsCount!: number;
      protected constructor() {}
    }
    // @ts-expect-error -- text
    @CounterCache({ relation: 'author', column: 'name' })
    // @ts-expect-error -- no such relation
    @CounterCache({ relation: 'autor', column: 'postsCount' })
    // @ts-expect-error -- no relation at all
    @CounterCache({ column: 'postsCount' })
    // @ts-expect-error -- a property of the row between
    @CounterCache({ relation: 'store.owner', column: 'ordersCount' })
    // @ts-expect-error -- the second step does not exist
    @CounterCache({ relation: 'store.ownr', column: 'postsCount' })
    // @ts-expect-error -- not many-to-many
    @CounterCache({ junction: 'author', column: 'tagsCount' })
    // @ts-expect-error -- a property of the other side
    @CounterCache({ junction: 'tags', column: 'ordersCount' })
    // @ts-expect-error -- one of the targets does not have it
    @CounterCache({ polymorphic: { id: 'id', type: 'type', targets: () => ({ User, Store }) }, column: 'ordersCount' })
    // @ts-expect-error -- the arguments name another class
    @CounterCache<Store, User>({ relation: 'owner', column: 'postsCount' })
    class Bad {
      id!: number;
      author!: User;
      store!: Store;
      tags!: Store[];
      tagsCount!: number;
    }
    expect([Good, Bad]).toBeDefined();
  });
});

@CounterCache({ relation: 'author', column: 'postsCount' })
class Post {
  author!: User;
  title!: string;
}

it('a counter of a class or schema that is defined elsewhere', () => {
  const schema = new EntitySchema<Post>({ name: 'Post', columns: {} });
  const define = (): void => {
    defineCounterCache(Post, { relation: 'author', column: 'likesSum' });
    defineCounterCache(schema, { relation: 'author', column: 'likesSum', if: ({ title }) => title !== '' });
    // @ts-expect-error -- text
    defineCounterCache(Post, { relation: 'author', column: 'name' });
    // @ts-expect-error -- another class's property
    defineCounterCache(schema, { relation: 'author', column: 'title' });
    // @ts-expect-error -- a number is touched
    defineCounterCache(schema, { relation: 'author', column: 'likesSum', touch: 'likesSum' });
  };
  expect(define).toBeInstanceOf(Function);
});

it('with type arguments, names are completed, and the same is refused', () => {
  CounterCache<Post, User>({ relation: 'author', column: 'optional', touch: 'seenAt' });
  // @ts-expect-error -- a method
  CounterCache<Post, User>({ relation: 'author', column: 'rename' });
  // @ts-expect-error -- text
  CounterCache<Post, User>({ relation: 'author', column: 'name' });
  // @ts-expect-error -- embedded text
  CounterCache<Post, User>({ relation: 'author', column: 'stats.text' });
  // @ts-expect-error -- another class's property
  CounterCache<Post, User>({ relation: 'author', column: 'ordersCount' });
  // @ts-expect-error -- a number is touched
  CounterCache<Post, User>({ relation: 'author', column: 'postsCount', touch: 'postsCount' });
  // @ts-expect-error -- text is no amount
  CounterCache<Post, User>({ relation: 'author', column: 'postsCount', incrementBy: 'title' });
  // @ts-expect-error -- only one of the targets has it
  const decorate = CounterCache<Post, User | Store>({ relation: 'author', column: 'ordersCount' });
  expect(decorate).toBeInstanceOf(Function);
});
