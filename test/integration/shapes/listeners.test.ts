import {
  AfterUpdate,
  BeforeInsert,
  BeforeUpdate,
  Column,
  DeleteDateColumn,
  Entity,
  type EntitySubscriberInterface,
  EventSubscriber,
  type InsertEvent,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
  type RemoveEvent,
  type SoftRemoveEvent,
  type TransactionCommitEvent,
  type UpdateEvent,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectMended, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity()
class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) booksCount!: number;
  @Column({ default: 0 }) pagesSum!: number;
  @Column({ default: 0 }) notesCount!: number;
}

/** Its listeners change what is about to be written. */
@Entity()
@CounterCache<Book, Shelf>({ relation: 'shelf', column: 'booksCount' })
@CounterCache<Book, Shelf>({ relation: 'shelf', column: 'pagesSum', incrementBy: 'pages' })
class Book {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 10 }) pages!: number;
  @Column({ default: '' }) log!: string;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Shelf) shelf!: Relation<Shelf> | null;

  @BeforeInsert()
  addCover(): void {
    this.pages = (this.pages ?? 10) + 2;
  }
  @BeforeUpdate()
  addPage(): void {
    this.pages += 1;
  }
  @AfterUpdate()
  forget(): void {
    this.log = 'only in memory';
    this.shelf = null;
  }
}

/** Written by a subscriber for every book that comes, changes or goes, and once per transaction. */
@Entity()
@CounterCache<Note, Shelf>({ relation: 'shelf', column: 'notesCount', where: { stale: false } })
class Note {
  @PrimaryGeneratedColumn() id!: number;
  @Column() about!: string;
  @Column({ default: false }) stale!: boolean;
  @Column({ default: 0 }) version!: number;
  @ManyToOne(() => Shelf) shelf!: Relation<Shelf> | null;
}

type AnyEvent = InsertEvent<Book> | UpdateEvent<Book> | RemoveEvent<Book> | SoftRemoveEvent<Book>;

@EventSubscriber()
class Notes implements EntitySubscriberInterface<Book> {
  static shelf: Shelf;
  static atCommit = true;

  listenTo(): typeof Book {
    return Book;
  }
  async afterInsert({ manager }: InsertEvent<Book>): Promise<void> {
    await manager.insert(Note, { about: 'inserted', shelf: Notes.shelf });
  }
  async beforeUpdate(event: AnyEvent): Promise<void> {
    await event.manager.save(Note, { about: 'updated', shelf: Notes.shelf });
    await event.manager.update(Note, { about: 'inserted' }, { stale: true });
  }
  async afterSoftRemove(event: AnyEvent): Promise<void> {
    await event.manager.delete(Note, { stale: true });
  }
  async beforeRemove(event: AnyEvent): Promise<void> {
    await event.manager.insert(Note, { about: 'removed', shelf: Notes.shelf });
  }
}

/** Changes what updates by criteria are about to write: TypeORM hands it the values. */
@EventSubscriber()
class Moving implements EntitySubscriberInterface<Book> {
  static to: Shelf | null = null;

  listenTo(): typeof Book {
    return Book;
  }
  beforeUpdate({ entity }: UpdateEvent<Book>): void {
    if (Moving.to !== null && entity !== undefined) entity['shelf'] = Moving.to;
  }
}

@EventSubscriber()
class Closing implements EntitySubscriberInterface {
  async beforeTransactionCommit({ manager }: TransactionCommitEvent): Promise<void> {
    if (!Notes.atCommit) return;
    await manager.insert(Note, { about: 'committed', shelf: Notes.shelf });
    await manager.update(Note, { about: 'removed' }, { stale: true });
  }
}

const SHELVES: Truth = {
  table: 'shelf',
  columns: {
    '"booksCount"': '(SELECT count(*) FROM book b WHERE b."shelfId" = t.id AND b."deletedAt" IS NULL)',
    '"pagesSum"': '(SELECT COALESCE(sum(b.pages), 0) FROM book b WHERE b."shelfId" = t.id AND b."deletedAt" IS NULL)',
    '"notesCount"': '(SELECT count(*) FROM note n WHERE n."shelfId" = t.id AND NOT n.stale)',
  },
};

let fixture: Fixture;

beforeAll(async () => {
  Notes.atCommit = false;
  fixture = await setupShape({
    entities: [Shelf, Book, Note],
    dataSource: { subscribers: [Notes, Moving, Closing] },
  });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('listeners and subscribers of the application, PostgreSQL %s', (version) => {
  let one: Shelf;
  let two: Shelf;
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;
  const right = (): Promise<void> => expectRight(fixture, [SHELVES]);

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    Notes.atCommit = false;
    await clear(fixture, [Note, Book, Shelf]);
    one = await manager().save(manager().create(Shelf));
    two = await manager().save(manager().create(Shelf));
    Notes.shelf = two;
    Notes.atCommit = true;
  });
  afterEach(() => expectAgreed(fixture));

  test('that write during every write, and right before every commit', async () => {
    await expectEveryWrite<Shelf>(fixture, {
      source: Book,
      targets: [one, two],
      values: (shelf, pages) => ({ shelf, pages }),
      truths: [SHELVES],
    });
    expect(await manager().countBy(Note, { about: 'committed' })).toBeGreaterThan(0);
    expect(await manager().countBy(Note, { about: 'updated' })).toBeGreaterThan(0);
    await expectMended(fixture, [SHELVES]);
  });

  test('that change what is written', async () => {
    const book = await manager().save(manager().create(Book, { shelf: one, pages: 5 }));
    await right();
    await manager().save(Object.assign(await manager().findOneByOrFail(Book, { id: book.id }), { log: 'x' }));
    expect(await manager().findOneByOrFail(Book, { id: book.id })).toMatchObject({ pages: 8, log: 'x' });
    await right();
    expect(await manager().findOneByOrFail(Shelf, { id: one.id })).toMatchObject({ booksCount: 1, pagesSum: 8 });
  });

  test('that change what an update by criteria writes', async () => {
    const book = await manager().save(manager().create(Book, { shelf: one }));
    await right();
    Moving.to = two;
    await manager().update(Book, { id: book.id }, { log: 'moved by the subscriber' });
    Moving.to = null;
    expect(await manager().countBy(Book, { shelf: { id: two.id } })).toBe(1);
    await right();
  });

  test('that write what is rolled back', async () => {
    const failure = new Error('rolled back');
    const write = fixture.dataSource.transaction(async (inner) => {
      const book = await inner.save(inner.create(Book, { shelf: one }));
      await inner.save(Object.assign(book, { shelf: two }));
      throw failure;
    });
    await expect(write).rejects.toBe(failure);
    await fixture.dataSource.transaction(async (inner) => {
      await inner.save(inner.create(Book, { shelf: one }));
      const nested = inner.transaction(async (deeper) => {
        await deeper.save(deeper.create(Book, { shelf: one }));
        throw failure;
      });
      await expect(nested).rejects.toBe(failure);
    });
    expect(await manager().countBy(Note, { about: 'inserted' })).toBe(1);
    expect(await manager().countBy(Note, { about: 'committed' })).toBe(1);
    await right();
  });

  test('that fail keep the transaction from being counted', async () => {
    const shelf = await manager().save(manager().create(Shelf));
    await right();
    Notes.shelf = Object.assign(shelf, { id: -1 });
    await expect(manager().save(manager().create(Book, { shelf: one }))).rejects.toThrow('foreign key');
    expect(await manager().count(Book)).toBe(0);
    Notes.shelf = two;
    Notes.atCommit = false;
    await right();
  });
});
