import { Column, Entity, In, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, type Mode } from 'typeorm-counter-cache';
import { attachForTests } from 'typeorm-counter-cache/testing';

import { newDataSource } from '../../support/setup';
import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { wrongAuthors } from '../outbox/outbox';
import { type Attached, attached } from './attached';

@Entity()
class Picture {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) likesCount!: number;
  @Column({ type: 'timestamptz', nullable: true }) likedAt!: Date | null;
}

@Entity()
class Film {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) likesCount!: number;
  @Column({ type: 'timestamptz', nullable: true }) likedAt!: Date | null;
}

@Entity()
@CounterCache<Like, Picture | Film>({
  polymorphic: { id: 'ownerId', type: 'ownerType', targets: () => ({ picture: Picture, film: Film }) },
  column: 'likesCount',
  touch: 'likedAt',
})
class Like {
  @PrimaryGeneratedColumn() id!: number;
  @Column() ownerType!: string;
  @Column() ownerId!: number;
}

@Entity()
class Shop {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) salesCount!: number;
}

@Entity()
class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Shop) shop!: Relation<Shop>;
}

@Entity()
@CounterCache<Sale, Shop>({ relation: 'shelf.shop', column: 'salesCount' })
class Sale {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Shelf) shelf!: Relation<Shelf>;
}

const ENTITIES = [Author, Post, Picture, Film, Like, Shop, Shelf, Sale];
const MODES: readonly Mode[] = ['buffered', 'outbox'];

describe.each(MODES)('inline, %s', (mode) => {
  let here: Attached;
  let id: number;

  beforeAll(async () => {
    here = await attached(ENTITIES, { inline: true, mode });
  });
  beforeEach(async () => {
    ({ id } = await here.dataSource.manager.save(Author, { name: 'a' }));
  });
  afterEach(() => {
    expect(here.errors.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    await here.counters.expectNoDrift();
    await here.close();
  });

  async function count(of = id): Promise<number> {
    return (await here.dataSource.manager.findOneByOrFail(Author, { id: of })).postsCount;
  }

  test('save, insert, update and delete are applied when they return', async () => {
    const { manager } = here.dataSource;
    const post = await manager.save(Post, { authorId: id, likes: 3 });
    expect(await count()).toBe(1);
    await manager.insert(Post, { authorId: id });
    expect(await count()).toBe(2);
    await manager.update(Post, { id: post.id }, { likes: 5 });
    expect(await manager.findOneBy(Author, { id })).toMatchObject({ likesSum: 5 });
    await manager.softDelete(Post, { id: post.id });
    expect(await count()).toBe(1);
    await manager.delete(Post, { authorId: id });
    expect(await count()).toBe(0);
  });

  test('a transaction is applied at its COMMIT, and not before; one that is rolled back is not', async () => {
    const { dataSource } = here;
    await dataSource.transaction(async (manager) => {
      await manager.save(Post, { authorId: id });
      await manager.insert(Post, { authorId: id });
      expect(await count()).toBe(0);
    });
    expect(await count()).toBe(2);
    const failing = dataSource.transaction(async (manager) => {
      await manager.save(Post, { authorId: id });
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await count()).toBe(2);
  });

  test('savepoints: nested transactions that fail are left out', async () => {
    await here.dataSource.transaction(async (manager) => {
      await manager.save(Post, { authorId: id });
      await manager
        .transaction(async (inner) => {
          await inner.save(Post, { authorId: id });
          throw new Error('inner');
        })
        .catch(() => undefined);
      await manager.transaction((inner) => inner.save(Post, { authorId: id }));
    });
    expect(await count()).toBe(2);
  });

  test('raw BEGIN and COMMIT', async () => {
    const runner = here.dataSource.createQueryRunner();
    await runner.query('BEGIN');
    await runner.manager.insert(Post, { authorId: id });
    await runner.query('COMMIT');
    expect(await count()).toBe(1);
    await runner.release();
  });

  test('bulk writes of many parents', async () => {
    const { manager } = here.dataSource;
    const authors = await manager.save(
      Author,
      Array.from({ length: 50 }, () => ({ name: 'bulk' })),
    );
    const rows = authors.flatMap(({ id: authorId }, i) => Array.from({ length: i % 4 }, () => ({ authorId })));
    await manager.insert(Post, rows);
    expect(await wrongAuthors(here)).toEqual([]);
    await manager.update(Post, { likes: 0 }, { likes: 2, published: true });
    expect(await wrongAuthors(here)).toEqual([]);
  });

  test('what the database deletes itself', async () => {
    const { manager } = here.dataSource;
    await manager.insert(Post, { authorId: id });
    await manager.delete(Author, { id });
    expect(await manager.count(Post, { where: { authorId: id } })).toBe(0);
    await here.counters.expectNoDrift();
  });

  test('polymorphic targets, and touch', async () => {
    const { manager } = here.dataSource;
    const [picture, film] = [await manager.save(new Picture()), await manager.save(new Film())];
    await manager.insert(Like, [
      { ownerType: 'picture', ownerId: picture.id },
      { ownerType: 'film', ownerId: film.id },
      { ownerType: 'film', ownerId: film.id },
    ]);
    expect(await manager.findOneBy(Picture, { id: picture.id })).toMatchObject({
      likesCount: 1,
      likedAt: expect.any(Date) as unknown,
    });
    expect(await manager.findOneBy(Film, { id: film.id })).toMatchObject({ likesCount: 2 });
  });

  test('repairs are made at once as well: an intermediate row that moves', async () => {
    const { manager } = here.dataSource;
    const [from, to] = [await manager.save(new Shop()), await manager.save(new Shop())];
    const shelf = await manager.save(Shelf, { shop: from });
    await manager.save(Sale, { shelf });
    expect(await manager.findOneBy(Shop, { id: from.id })).toMatchObject({ salesCount: 1 });
    // Other test files may have transactions open for longer than a commit waits for them.
    let place = from;
    await until(async () => {
      place = place === from ? to : from;
      await manager.update(Shelf, { id: shelf.id }, { shop: place });
      const shops = await manager.findBy(Shop, { id: In([from.id, to.id]) });
      return shops.every((shop) => shop.salesCount === (shop.id === place.id ? 1 : 0));
    });
  });

  test('track() is applied when it returns', async () => {
    const { manager } = here.dataSource;
    await manager.insert(Post, [{ authorId: id }, { authorId: id }]);
    await here.counters.track(manager, Post, { authorId: id }, (inner) =>
      inner.query('DELETE FROM post WHERE "authorId" = $1', [id]),
    );
    expect(await count()).toBe(0);
  });

  test('many commits at once under one parent: each sees its own when it returns', async () => {
    const { dataSource } = here;
    await Promise.all(
      Array.from({ length: 24 }, async (_, i) => {
        const mine = await dataSource.manager.save(Author, { name: `own ${i}` });
        await dataSource.transaction(async (manager) => {
          await manager.save(Post, { authorId: id });
          await manager.insert(Post, { authorId: mine.id });
        });
        expect(await count(mine.id)).toBe(1);
        expect(await count()).toBeGreaterThanOrEqual(1);
      }),
    );
    expect(await count()).toBe(24);
    expect(await wrongAuthors(here)).toEqual([]);
  });

  test('what the database refuses makes no commit fail, and flushAll() names it', async () => {
    const { manager } = here.dataSource;
    await manager.query(`ALTER TABLE author ADD CONSTRAINT small CHECK ("likesSum" < 100)`);
    await manager.insert(Post, { authorId: id, likes: 200 });
    expect(await manager.findOneBy(Author, { id })).toMatchObject({ likesSum: 0 });
    await expect(here.counters.flushAll()).rejects.toMatchObject({
      code: 'NOT_FLUSHED',
      message: expect.stringMatching(new RegExp(`Author ${id}, which the database refuses: .*small`)) as unknown,
    });
    await manager.query('ALTER TABLE author DROP CONSTRAINT small');
    await here.counters.flushAll();
    expect(await manager.findOneBy(Author, { id })).toMatchObject({ likesSum: 200 });
  });

  test('read() and status() work as ever', async () => {
    await here.dataSource.manager.insert(Post, { authorId: id });
    expect(await here.counters.read(Author, id, 'postsCount')).toBe(1);
    expect(await here.counters.status()).toMatchObject({ dirty: 0, batches: 0, intents: 0 });
  });
});

test('a repair waits for a transaction of another database of the server', async () => {
  const [here, elsewhere] = [await attached(ENTITIES), await attached([Author, Post])];
  const { manager } = here.dataSource;
  const [from, to] = [await manager.save(new Shop()), await manager.save(new Shop())];
  const shelf = await manager.save(Shelf, { shop: from });
  await manager.save(Sale, { shelf });
  const runner = elsewhere.dataSource.createQueryRunner();
  await runner.startTransaction();
  await runner.query('SELECT pg_current_xact_id()');
  let isMoved = false;
  const moving = manager.update(Shelf, { id: shelf.id }, { shop: to }).then(() => (isMoved = true));
  await until(async () => {
    const [row] = await here.dataSource.query<{ moved: boolean }[]>(
      'SELECT "shopId" = $1 AS moved FROM shelf WHERE id = $2',
      [to.id, shelf.id],
    );
    return row?.moved === true;
  });
  expect(isMoved).toBe(false);
  await runner.rollbackTransaction();
  await runner.release();
  await moving;
  // Those of other test files may take longer than a commit waits.
  await here.counters.flushAll();
  expect(await manager.findOneBy(Shop, { id: from.id })).toMatchObject({ salesCount: 0 });
  expect(await manager.findOneBy(Shop, { id: to.id })).toMatchObject({ salesCount: 1 });
  await elsewhere.close();
  await here.close();
});

test('a pool of one connection', async () => {
  const here = await attached([Author, Post], { inline: true }, { poolSize: 1 });
  const { manager } = here.dataSource;
  const { id } = await manager.save(Author, { name: 'a' });
  await here.dataSource.transaction((inner) => inner.save(Post, { authorId: id }));
  expect(await manager.findOneBy(Author, { id })).toMatchObject({ postsCount: 1 });
  await here.close();
  expect(here.errors).toEqual([]);
});

test('a database that another process has used: nothing is reported, and all is recounted', async () => {
  const here = await attached([Author, Post]);
  const { id } = await here.dataSource.manager.save(Author, { name: 'a' });
  await here.dataSource.manager.insert(Post, { authorId: id });
  await here.dataSource.query('UPDATE author SET "postsCount" = 7');
  const next = newDataSource(here.database.url, [Author, Post]);
  const errors: unknown[] = [];
  const counters = await attachForTests(next, { inline: true });
  counters.on('error', (error) => errors.push(error));
  await next.initialize();
  await counters.expectNoDrift();
  expect(await next.manager.findOneBy(Author, { id })).toMatchObject({ postsCount: 1 });
  await counters.close();
  await next.destroy();
  await here.close();
  expect([...errors, ...here.errors]).toEqual([]);
});

test('counters that are attached to an initialized DataSource, closed, and attached again', async () => {
  const here = await attached([Author, Post]);
  const { dataSource } = here;
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  await here.counters.close();
  // Kept in the outbox, and not applied by anybody.
  await dataSource.manager.insert(Post, { authorId: id });
  expect(await dataSource.manager.findOneBy(Author, { id })).toMatchObject({ postsCount: 0 });
  const again = await attachForTests(dataSource);
  await again.flushAll();
  expect(await dataSource.manager.findOneBy(Author, { id })).toMatchObject({ postsCount: 1 });
  await again.close();
  await here.close();
});

test('options are checked', async () => {
  const dataSource = newDataSource('postgres://localhost/none', []);
  const problems = async (options: unknown) =>
    expect(attachForTests(dataSource, options as never)).rejects.toMatchObject({ code: 'CONFIGURATION' });
  await problems({ inline: 'yes' });
  await problems({ inline: true, wiat: 3 });
  await problems({ inline: true, shards: 0 });
  await problems(null);
  await problems({ inline: false });
});
