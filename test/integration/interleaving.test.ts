import { EventSubscriber, type InsertEvent, type QueryRunner } from 'typeorm';

import { Counters } from 'typeorm-counter-cache';

import { redisUrl } from '../support/redis';
import { type Fixture, setup, TEST_OPTIONS } from '../support/setup';
import { turns } from '../support/turns';
import { until } from '../support/until';
import { Author, Post } from './blog';

/** What a listener of the application does after every insert of a post. */
let listener: (event: InsertEvent<Post>) => Promise<void> = () => Promise.resolve();
/** What it does before. */
let early: (event: InsertEvent<Post>) => Promise<void> = () => Promise.resolve();

@EventSubscriber()
class PostListener {
  listenTo(): typeof Post {
    return Post;
  }
  beforeInsert(event: InsertEvent<Post>): Promise<void> {
    return early(event);
  }
  afterInsert(event: InsertEvent<Post>): Promise<void> {
    return listener(event);
  }
}

/** Keeps the listener of the next write inside until the test lets it leave. */
function holdListener(): { readonly entered: Promise<void>; readonly leave: () => void } {
  let enter = (): void => undefined;
  let leave = (): void => undefined;
  const entered = new Promise<void>((resolve) => (enter = resolve));
  const left = new Promise<void>((resolve) => (leave = resolve));
  listener = () => (enter(), left);
  return { entered, leave };
}

let fixture: Fixture;
let id: number;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post], dataSource: { subscribers: [PostListener] } });
});
beforeEach(async () => {
  listener = () => Promise.resolve();
  early = () => Promise.resolve();
  ({ id } = await fixture.dataSource.manager.save(Author, { name: 'a' }));
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(() => fixture.close());

/** Nothing but the deltas themselves: no recalculation has run. */
async function expectExact(posts: number): Promise<void> {
  await fixture.counters.flush();
  expect(await fixture.dataSource.manager.countBy(Post, { authorId: id })).toBe(posts);
  expect(await fixture.dataSource.manager.findOneBy(Author, { id })).toMatchObject({ postsCount: posts });
}

async function onRunner(work: (runner: QueryRunner) => Promise<void>): Promise<void> {
  const runner = fixture.dataSource.createQueryRunner();
  await work(runner);
  expect(runner.isTransactionActive).toBe(false);
  await runner.release();
}

describe.each(['18', '17.0'])('with what PostgreSQL %s returns', (version) => {
  let real: string | undefined;
  const driver = () => fixture.dataSource.driver as { version?: string | undefined };
  beforeAll(() => {
    real = driver().version;
    driver().version = version;
  });
  afterAll(() => {
    driver().version = real;
  });

  test('a listener that swallows a failing query takes nothing of an autocommitted write', async () => {
    listener = async ({ queryRunner }) => void (await queryRunner.query('SELECT 1 / 0').catch(() => undefined));
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    await expectExact(1);
  });

  test('a listener that throws does not uncount a row that its caller keeps', async () => {
    listener = () => Promise.reject(new Error('listener'));
    await fixture.dataSource.transaction(async (manager) => {
      await manager.insert(Post, { authorId: id }).catch(() => undefined);
    });
    await expectExact(1);
  });

  test('a listener may write counted rows itself', async () => {
    let depth = 0;
    listener = async ({ manager }) => {
      depth += 1;
      if (depth < 3) await manager.insert(Post, { authorId: id });
    };
    await fixture.dataSource.manager.insert(Post, { authorId: id });
    await expectExact(3);
  });

  test.each([0, 1, 3, 5])('a listener may leave its own write alone for %i turns, and go on', async (count) => {
    let write: Promise<unknown> = Promise.resolve();
    early = async ({ entity, manager }) => {
      if (entity.likes !== 1) return;
      write = manager.insert(Post, { authorId: id });
      await turns(count);
    };
    await fixture.dataSource.manager.insert(Post, { authorId: id, likes: 1 });
    await write;
    await expectExact(2);
  });

  test('one builder executed twice at once writes and counts twice', async () => {
    const builder = fixture.dataSource.createQueryBuilder().insert().into(Post).values({ authorId: id });
    await Promise.all([builder.execute(), builder.execute()]);
    await builder.execute();
    await expectExact(3);
  });

  test('writes that share a query runner without a transaction', async () => {
    await onRunner(async ({ manager }) => {
      await Promise.all(Array.from({ length: 10 }, () => manager.insert(Post, { authorId: id })));
    });
    await expectExact(10);
  });

  test('a write that is not awaited before COMMIT', async () => {
    let write: Promise<unknown> = Promise.resolve();
    await fixture.dataSource.transaction(async (manager) => {
      write = manager.insert(Post, { authorId: id });
      await manager.query('SELECT 1');
    });
    await write;
    await expectExact(1);
  });

  test('a savepoint that is rolled back while a listener of its write still runs', async () => {
    const { entered, leave } = holdListener();
    await fixture.dataSource.transaction(async (outer) => {
      let write: Promise<unknown> = Promise.resolve();
      const inner = outer.transaction(async (manager) => {
        write = manager.insert(Post, { authorId: id });
        await entered;
        throw new Error('no');
      });
      await expect(inner).rejects.toThrow('no');
      leave();
      await write.catch(() => undefined);
    });
    await expectExact(0);
  });

  test('a write beside a savepoint that is set during its listener, and rolled back', async () => {
    const { entered, leave } = holdListener();
    await fixture.dataSource.transaction(async (manager) => {
      const write = manager.insert(Post, { authorId: id });
      await entered;
      const nested = manager.transaction(() => Promise.reject(new Error('no')));
      await expect(nested).rejects.toThrow('no');
      leave();
      await write;
    });
    await expectExact(1);
  });

  test('BEGIN inside a transaction, which PostgreSQL only warns of', async () => {
    await onRunner(async (runner) => {
      await runner.query('BEGIN');
      await runner.manager.insert(Post, { authorId: id });
      await runner.query('BEGIN');
      await runner.manager.insert(Post, { authorId: id });
      await runner.query('COMMIT');
    });
    await expectExact(2);
  });

  test('COMMIT AND CHAIN, ROLLBACK AND CHAIN', async () => {
    await onRunner(async (runner) => {
      const insert = () => runner.manager.insert(Post, { authorId: id });
      await runner.query('BEGIN');
      await insert();
      await runner.query('COMMIT AND CHAIN');
      await insert();
      await runner.query('ROLLBACK AND CHAIN');
      await insert();
      await runner.query('COMMIT');
    });
    await expectExact(2);
  });

  test('savepoint names that are used again, and differ by quotes only', async () => {
    await onRunner(async (runner) => {
      const insert = () => runner.manager.insert(Post, { authorId: id });
      await runner.query('BEGIN');
      await insert();
      for (const command of [
        'SAVEPOINT a',
        'SAVEPOINT a',
        'ROLLBACK TO a',
        'RELEASE a',
        'ROLLBACK TO a',
        'SAVEPOINT "A"',
        'ROLLBACK TO "A"',
      ]) {
        await runner.query(command);
        await insert();
      }
      await runner.query('ROLLBACK TO a');
      await runner.query('COMMIT');
    });
    await expectExact(1);
  });
});

test('saves and inserts interleaved on one query runner end right, strays by a recalculation', async () => {
  const worker = await fixture.counters.startWorker();
  await onRunner(async (runner) => {
    await runner.query('SELECT 1');
    const write = (i: number): Promise<unknown> =>
      i % 2 === 0 ? runner.manager.insert(Post, { authorId: id }) : runner.manager.save(Post, { authorId: id });
    await Promise.all(Array.from({ length: 12 }, (_, i) => turns(i % 5).then(() => write(i))));
  });
  await fixture.counters.settled();
  await until(async () => (await fixture.dataSource.manager.findOneByOrFail(Author, { id })).postsCount === 12);
  await worker.close();
  expect(await fixture.dataSource.manager.countBy(Post, { authorId: id })).toBe(12);
});

test('close() waits for a transaction that has captured something', async () => {
  const own = await setup({ entities: [Author, Post] });
  const author = await own.dataSource.manager.save(Author, { name: 'a' });
  let close: Promise<void> = Promise.resolve();
  await own.dataSource.transaction(async (manager) => {
    await manager.insert(Post, { authorId: author.id });
    close = own.counters.close();
    await manager.insert(Post, { authorId: author.id });
  });
  await close;
  const again = await Counters.attach(own.dataSource, { redis: redisUrl(), ...TEST_OPTIONS });
  await again.flush();
  expect(await own.dataSource.manager.findOneBy(Author, { id: author.id })).toMatchObject({ postsCount: 2 });
  await again.close();
  await own.close();
});
