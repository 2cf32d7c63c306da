import { Column, Entity, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { Author, Post } from './blog';

/** A parent without a version or a timestamp: an update of its counter alone leaves TypeORM nothing to write. */
@Entity()
class Shelf {
  @PrimaryColumn() code!: string;
  @Column({ default: '' }) label!: string;
  @Column({ default: 0 }) booksCount!: number;
}

@Entity()
@CounterCache<Book, Shelf>({ relation: 'shelf', column: 'booksCount' })
class Book {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Shelf) shelf!: Relation<Shelf>;
}

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post, Shelf, Book] });
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(() => fixture.close());

const manager = () => fixture.dataSource.manager;

/** An author as read before three posts were written and counted. */
async function staleAuthor(): Promise<Author> {
  const { id } = await manager().save(Author, { name: 'a' });
  const stale = await readAuthor(id);
  await manager().insert(Post, [{ authorId: id }, { authorId: id }, { authorId: id }]);
  await fixture.counters.flush();
  expect(await readAuthor(id)).toMatchObject({ postsCount: 3 });
  return stale;
}

function readAuthor(id: number): Promise<Author> {
  return manager().findOneByOrFail(Author, { id });
}

/** A shelf as read before two books were put on it and counted. */
async function staleShelf(code: string): Promise<Shelf> {
  const stale = await manager().save(manager().create(Shelf, { code, label: 'old' }));
  await manager().insert(Book, [{ shelf: { code } }, { shelf: { code } }]);
  await fixture.counters.flush();
  expect(await readShelf(code)).toMatchObject({ booksCount: 2 });
  return stale;
}

function readShelf(code: string): Promise<Shelf> {
  return manager().findOneByOrFail(Shelf, { code });
}

describe('I7: a flush changes the counter, and nothing else of the parent', () => {
  test('neither @VersionColumn nor @UpdateDateColumn moves', async () => {
    const before = await staleAuthor();
    expect(await readAuthor(before.id)).toEqual(Object.assign(before, { postsCount: 3 }));
  });

  test('nor by a recalculation', async () => {
    const before = await staleAuthor();
    await fixture.dataSource.query('UPDATE author SET "postsCount" = 50 WHERE id = $1', [before.id]);
    expect(await fixture.counters.recalculate({ target: Author, ids: [before.id] })).toMatchObject({ fixedCount: 1 });
    expect(await readAuthor(before.id)).toEqual(Object.assign(before, { postsCount: 3 }));
  });
});

describe('I7: save() of a parent', () => {
  test('that is stale writes its own columns and keeps the counter', async () => {
    const shelf = await staleShelf('A');
    shelf.label = 'new';
    await manager().save(shelf);
    expect(await readShelf('A')).toEqual({ code: 'A', label: 'new', booksCount: 2 });
  });

  test('with a version works as ever', async () => {
    const author = await staleAuthor();
    author.name = 'b';
    await manager().save(author);
    expect(await readAuthor(author.id)).toMatchObject({ name: 'b', postsCount: 3, version: author.version });
    expect(author.version).toBe(2);
  });

  test('whose only difference is the counter neither fails nor writes', async () => {
    const shelf = await staleShelf('B');
    await manager().save(shelf);
    expect(await readShelf('B')).toEqual({ code: 'B', label: 'old', booksCount: 2 });
    const author = await staleAuthor();
    const before = await readAuthor(author.id);
    await manager().save(author);
    expect(await readAuthor(author.id)).toEqual(before);
  });

  test('together with children that replace the former ones counts both moves', async () => {
    const author = await staleAuthor();
    author.name = 'c';
    author.posts = [manager().create(Post, { title: 'new' })];
    await manager().save(author);
    expect(await manager().countBy(Post, { authorId: author.id })).toBe(1);
    await fixture.counters.flush();
    expect(await readAuthor(author.id)).toMatchObject({ name: 'c', postsCount: 1 });
  });
});

describe('I7: inserting', () => {
  test('a copy of a parent does not copy its counter', async () => {
    const { id } = await staleAuthor();
    const { id: _, ...copy } = await readAuthor(id);
    const saved = await manager().save(Author, copy);
    const inserted = await manager().insert(Author, { ...copy, name: 'inserted' });
    expect((await readAuthor(saved.id)).postsCount).toBe(0);
    expect((await readAuthor((inserted.identifiers[0] as { id: number }).id)).postsCount).toBe(0);
  });

  test('a new parent tells its counter, as any default', async () => {
    expect(await manager().save(Author, { name: 'new' })).toMatchObject({ postsCount: 0, publishedCount: 0 });
  });

  test('or updating by upsert() does not write it', async () => {
    await staleShelf('C');
    await manager().upsert(
      Shelf,
      [
        { code: 'C', label: 'upserted', booksCount: 70 },
        { code: 'D', label: 'inserted', booksCount: 70 },
      ],
      ['code'],
    );
    expect(await readShelf('C')).toEqual({ code: 'C', label: 'upserted', booksCount: 2 });
    expect(await readShelf('D')).toEqual({ code: 'D', label: 'inserted', booksCount: 0 });
  });

  test('or updating by orUpdate() does not write it, even when it lists nothing else', async () => {
    await staleShelf('E');
    const insert = (overwrite: string[]) =>
      manager()
        .createQueryBuilder()
        .insert()
        .into(Shelf)
        .values({ code: 'E', label: 'orUpdate', booksCount: 70 })
        .orUpdate(overwrite, ['code'])
        .execute();
    await insert(['booksCount', 'label']);
    expect(await readShelf('E')).toEqual({ code: 'E', label: 'orUpdate', booksCount: 2 });
    await insert(['booksCount']);
    expect(await readShelf('E')).toEqual({ code: 'E', label: 'orUpdate', booksCount: 2 });
  });
});

describe('I7: an update by criteria', () => {
  test('that sets the counter beside other columns writes only those', async () => {
    await staleShelf('F');
    await manager().update(Shelf, { code: 'F' }, { label: 'updated', booksCount: 70 });
    expect(await readShelf('F')).toEqual({ code: 'F', label: 'updated', booksCount: 2 });
    await manager()
      .createQueryBuilder()
      .update(Shelf)
      .set({ label: 'set', booksCount: 71 })
      .where({ code: 'F' })
      .execute();
    expect(await readShelf('F')).toEqual({ code: 'F', label: 'set', booksCount: 2 });
  });

  test('that sets nothing but the counter does not write it', async () => {
    await staleShelf('G');
    // TypeORM's own answer to an update of no column.
    await expect(manager().update(Shelf, { code: 'G' }, { booksCount: 70 })).rejects.toThrow(
      'update values are not defined',
    );
    await expect(manager().increment(Shelf, { code: 'G' }, 'booksCount', 1)).rejects.toThrow(
      'update values are not defined',
    );
    expect(await readShelf('G')).toEqual({ code: 'G', label: 'old', booksCount: 2 });
  });
});

test('a closed library still counts what the DataSource writes, and protects its columns, until that is destroyed', async () => {
  const other = await setup({ entities: [Shelf, Book] });
  const { dataSource } = other;
  await other.counters.close();
  await dataSource.manager.save(Shelf, { code: 'Y', booksCount: 7 });
  expect(await dataSource.manager.findOneBy(Shelf, { code: 'Y' })).toMatchObject({ booksCount: 0 });
  await dataSource.destroy();
  await dataSource.initialize();
  await dataSource.manager.save(Shelf, { code: 'Z', booksCount: 7 });
  expect(await dataSource.manager.findOneBy(Shelf, { code: 'Z' })).toMatchObject({ booksCount: 7 });
  await other.close();
});
