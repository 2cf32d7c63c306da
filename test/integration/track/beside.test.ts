import type { EntityManager } from 'typeorm';

import { Post, setupWriters, Writer, type Writers } from './writers';

let writers: Writers;
let one: Writer;

beforeAll(async () => {
  writers = await setupWriters();
});
beforeEach(async () => {
  const { manager } = writers.dataSource;
  one = await manager.save(manager.create(Writer));
});
afterEach(() => expect(writers.errors).toEqual([]));
afterAll(() => writers.close());

const expectExact = (): Promise<void> => writers.expectExact();
const expectExactOnceIdle = (): Promise<void> => writers.expectExactOnceIdle();

const insertPost = (): string => `INSERT INTO post ("writerId") VALUES (${one.id})`;
const track = (
  manager: EntityManager,
  where: object,
  work: (manager: EntityManager) => Promise<unknown>,
): Promise<unknown> => writers.counters.track(manager, Post, where, work);

/** A promise, and what resolves it. */
function signal(): { readonly given: Promise<void>; readonly give: () => void } {
  let give = (): void => undefined;
  const given = new Promise<void>((resolve) => (give = resolve));
  return { given, give };
}

describe('beside counters.track', () => {
  test('a savepoint that is set during the work and rolled back after it', async () => {
    const [begun, held] = [signal(), signal()];
    await writers.dataSource.transaction(async (own) => {
      const tracked = track(own, { writer: { id: one.id } }, async (inner) => {
        await inner.query(insertPost());
        begun.give();
        await held.given;
      });
      await begun.given;
      const nested = own.transaction(async (inner) => {
        await inner.insert(Post, { writer: one });
        held.give();
        await tracked;
        throw new Error('no');
      });
      await expect(nested).rejects.toThrow('no');
    });
    expect(await writers.dataSource.manager.countBy(Post, { writer: { id: one.id } })).toBe(1);
    await expectExactOnceIdle();
  });

  test('other tracked work in the same transaction, however they overlap', async () => {
    const [first, second] = [signal(), signal()];
    await writers.dataSource.transaction(async (own) => {
      await Promise.all([
        track(own, { status: 'a' }, async (inner) => {
          await inner.query(`INSERT INTO post ("writerId", status) VALUES (${one.id}, 'a')`);
          await inner.insert(Post, { writer: one, status: 'a' });
          first.give();
          await second.given;
        }),
        track(own, { status: 'b' }, async (inner) => {
          await first.given;
          await inner.query(`INSERT INTO post ("writerId", status) VALUES (${one.id}, 'b')`);
          second.give();
          await inner.insert(Post, { writer: one, status: 'b' });
        }),
      ]);
    });
    await expectExactOnceIdle();
  });

  test('a write of the same transaction that nobody awaits until the work is done', async () => {
    await writers.dataSource.transaction(async (own) => {
      const before = own.insert(Post, { writer: one });
      let during: Promise<unknown> = Promise.resolve();
      await track(own, { writer: { id: one.id } }, async (inner) => {
        during = inner.insert(Post, { writer: one });
        await inner.query(insertPost());
      });
      await Promise.all([before, during, own.insert(Post, { writer: one })]);
    });
    await expectExact();
    expect(await writers.dataSource.manager.countBy(Post, { writer: { id: one.id } })).toBe(4);
  });

  test('a write that is begun in the work, and made after it', async () => {
    const { manager } = writers.dataSource;
    const over = signal();
    let later: Promise<unknown> = Promise.resolve();
    await track(manager, { status: 'raw' }, async () => {
      later = over.given.then(() => manager.insert(Post, { writer: one }));
    });
    over.give();
    await later;
    await expectExact();
    expect(await manager.countBy(Post, { writer: { id: one.id } })).toBe(1);
  });

  test('tracked work of other transactions, over the same rows', async () => {
    const { manager } = writers.dataSource;
    await manager.insert(
      Post,
      Array.from({ length: 100 }, () => ({ writer: one })),
    );
    // Rows are found in another order than that of their keys.
    await manager.query('UPDATE post SET status = id::text WHERE id % 2 = 0');
    await Promise.all(
      Array.from({ length: 6 }, async (_, i) => {
        for (let round = 0; round < 5; round++)
          await track(manager, i % 2 === 0 ? {} : { writer: { id: one.id } }, async (own) => {
            await own.query('UPDATE post SET likes = likes + 1 WHERE "writerId" = $1', [one.id]);
            await own.query(insertPost());
          });
      }),
    );
    await expectExactOnceIdle();
  });
});
