import type { EntityManager } from 'typeorm';

import { type Fixture, setup } from '../support/setup';
import { Author, Post } from './blog';

let fixture: Fixture;
let id: number;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post] });
});
beforeEach(async () => {
  ({ id } = await fixture.dataSource.manager.save(Author, { name: 'a' }));
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(() => fixture.close());

async function counted(): Promise<number> {
  await fixture.counters.flush();
  expect(await fixture.counters.status()).toMatchObject({ dirty: 0, batches: 0, intents: 0 });
  return (await fixture.dataSource.manager.findOneByOrFail(Author, { id })).postsCount;
}

const post = (manager: EntityManager) => manager.insert(Post, { authorId: id });
const abort = new Error('the caller changed its mind');

describe('I2: only what is committed counts', () => {
  test('a commit counts everything', async () => {
    await fixture.dataSource.transaction(async (manager) => {
      await post(manager);
      await manager.save(Post, { authorId: id });
    });
    expect(await counted()).toBe(2);
  });

  test('a rolled-back transaction counts nothing', async () => {
    const work = fixture.dataSource.transaction(async (manager) => {
      await post(manager);
      throw abort;
    });
    await expect(work).rejects.toBe(abort);
    expect(await counted()).toBe(0);
  });

  test('inner rollback, outer commit: only the outer part', async () => {
    await fixture.dataSource.transaction(async (outer) => {
      await post(outer);
      const inner = outer.transaction(async (manager) => {
        await post(manager);
        await post(manager);
        throw abort;
      });
      await expect(inner).rejects.toBe(abort);
      await post(outer);
    });
    expect(await counted()).toBe(2);
  });

  test('outer rollback after inner commit: nothing', async () => {
    const work = fixture.dataSource.transaction(async (outer) => {
      await outer.transaction(post);
      throw abort;
    });
    await expect(work).rejects.toBe(abort);
    expect(await counted()).toBe(0);
  });

  test('a swallowed error followed by COMMIT: PostgreSQL answers ROLLBACK, nothing counts', async () => {
    await fixture.dataSource.transaction(async (manager) => {
      await post(manager);
      await expect(manager.query('SELECT 1 / 0')).rejects.toThrow('division by zero');
    });
    expect(await counted()).toBe(0);
    expect(await fixture.dataSource.manager.countBy(Post, { authorId: id })).toBe(0);
  });

  test('a COMMIT that fails by a deferred constraint counts nothing', async () => {
    await fixture.dataSource.query('CREATE TABLE guard (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)');
    const work = fixture.dataSource.transaction(async (manager) => {
      await post(manager);
      await manager.query('INSERT INTO guard VALUES (1), (1)');
    });
    await expect(work).rejects.toThrow('duplicate key');
    expect(await counted()).toBe(0);
  });

  test('raw BEGIN, SAVEPOINT, ROLLBACK TO and COMMIT are followed', async () => {
    const runner = fixture.dataSource.createQueryRunner();
    await runner.query('begin');
    await post(runner.manager);
    await runner.query('SAVEPOINT "One"');
    await post(runner.manager);
    await runner.query('savepoint two');
    await post(runner.manager);
    await runner.query('ROLLBACK TO SAVEPOINT "One"');
    await post(runner.manager);
    await runner.query('RELEASE "One"');
    await runner.query('commit');
    expect(await counted()).toBe(2);
    await runner.query('BEGIN');
    await post(runner.manager);
    await runner.query('ROLLBACK');
    await runner.release();
    expect(await counted()).toBe(2);
  });

  test('a net zero produces nothing, not even a job', async () => {
    await fixture.dataSource.transaction(async (manager) => {
      const created = await manager.save(Post, { authorId: id });
      await manager.remove(Post, created);
    });
    await fixture.counters.settled();
    expect(await fixture.counters.status()).toMatchObject({ dirty: 0, intents: 0 });
  });
});
