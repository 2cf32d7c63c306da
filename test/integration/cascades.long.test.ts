import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { type Internals, openInternals } from './internals';
import { untilIdle } from './idle';
import { Book, LIBRARY, Loan, Member, Shelf, Writer, WRONG } from './library';

let fixture: Fixture;
let internals: Internals;
let writerId = 0;

beforeAll(async () => {
  fixture = await setup({ entities: LIBRARY });
  internals = await openInternals(fixture.dataSource);
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(async () => {
  await internals.close();
  await fixture.close();
});

const expectIdle = (): Promise<void> => untilIdle(fixture, internals);

/** Columns equal the truth once deltas are applied, without any recalculation. */
async function expectExact(): Promise<void> {
  await fixture.counters.flush();
  expect(await fixture.dataSource.query(WRONG)).toEqual([]);
}

async function seed(): Promise<{ shelf: Shelf; writer: Writer; member: Member; books: Book[]; loans: Loan[] }> {
  const { manager } = fixture.dataSource;
  const shelf = await manager.save(manager.create(Shelf));
  const writer = await manager.save(manager.create(Writer, { id: ++writerId }));
  const member = await manager.save(manager.create(Member));
  const books: Book[] = [];
  for (let i = 0; i < 4; i++) {
    const book = manager.create(Book, { writer });
    if (i < 2) book.shelf = shelf;
    const before = i % 2 === 1 ? books[i - 1] : undefined;
    if (before !== undefined) book.sequelOf = before;
    books.push(await manager.save(book));
  }
  const loans = await manager.save(
    books.flatMap((book) => [true, false].map((open) => manager.create(Loan, { book, member, open }))),
  );
  // The recalculation that a new writer asks for is done before deletions are looked at.
  const worker = await fixture.counters.startWorker();
  await expectIdle();
  await worker.close();
  await expectExact();
  return { shelf, writer, member, books, loans };
}

describe("the database's own ON DELETE actions", () => {
  test('CASCADE corrects the counters of what goes along, over several tables', async () => {
    const { shelf, writer, member } = await seed();
    await fixture.dataSource.manager.delete(Shelf, { id: shelf.id });
    await expectExact();
    expect(await fixture.dataSource.manager.findOneBy(Writer, { id: writer.id })).toMatchObject({ booksCount: 2 });
    expect(await fixture.dataSource.manager.findOneBy(Member, { id: member.id })).toMatchObject({
      loansCount: 4,
      openLoansCount: 2,
    });
  });

  test('CASCADE within one table (a book and its sequels), by remove() and by the query builder', async () => {
    const { books } = await seed();
    const [first, , third] = books;
    if (first === undefined || third === undefined) throw new Error('no books');
    await fixture.dataSource.manager.remove(first);
    await expectExact();
    await fixture.dataSource.createQueryBuilder().delete().from(Book).where('id = :id', { id: third.id }).execute();
    await expectExact();
  });

  test('SET NULL moves what stays', async () => {
    const { member, loans } = await seed();
    await fixture.dataSource.manager.delete(Member, member.id);
    await expectExact();
    expect(await fixture.dataSource.manager.countBy(Loan, { id: loans[0]?.id ?? 0 })).toBe(1);
  });

  test('rolled back, nothing of it counts; a delete of no rows leaves nothing pending', async () => {
    const { shelf } = await seed();
    const work = fixture.dataSource.transaction(async (manager) => {
      await manager.delete(Shelf, shelf.id);
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    await fixture.dataSource.manager.delete(Shelf, { id: -1 });
    await fixture.counters.settled();
    expect(await fixture.counters.status()).toMatchObject({ dirty: 0, intents: 0 });
    await expectExact();
  });

  test('a loan inserted while its book is deleted counts or fails, never both', async () => {
    for (let round = 0; round < 20; round++) {
      const { books, member } = await seed();
      const [book] = books;
      if (book === undefined) throw new Error('no books');
      await Promise.allSettled([
        fixture.dataSource.manager.delete(Book, book.id),
        ...Array.from({ length: 4 }, () =>
          fixture.dataSource.manager.insert(Loan, { bookId: book.id, memberId: member.id }),
        ),
      ]);
      await expectExact();
    }
  });
});

describe('targets that appear, vanish or change their key', () => {
  test('what is pending for a deleted target never lands on a new one of the same key', async () => {
    const { manager } = fixture.dataSource;
    const worker = await fixture.counters.startWorker();
    const id = 5_000_001;
    await manager.insert(Writer, { id });
    await manager.insert(Book, [{ writerId: id }, { writerId: id }]);
    await manager.delete(Book, { writerId: id });
    await manager.insert(Book, { writerId: id });
    await manager.delete(Writer, id);
    await manager.insert(Writer, { id });
    await until(
      async () =>
        (await fixture.counters.status()).dirty === 0 &&
        (await manager.findOneByOrFail(Writer, { id })).booksCount === 1,
    );
    await worker.close();
    await expectExact();
  });

  test('a child inserted before its parent is counted once the parent exists', async () => {
    const { manager } = fixture.dataSource;
    const worker = await fixture.counters.startWorker();
    const id = 5_000_002;
    await manager.insert(Book, [{ writerId: id }, { writerId: id }]);
    await expectIdle();
    await manager.insert(Writer, { id });
    await until(async () => (await manager.findOneByOrFail(Writer, { id })).booksCount === 2);
    await worker.close();
  });

  test('a target that gets another key is recounted under both', async () => {
    const { manager } = fixture.dataSource;
    const worker = await fixture.counters.startWorker();
    const [from, to] = [5_000_003, 5_000_004];
    await manager.insert(Writer, { id: from });
    await manager.insert(Book, [{ writerId: from }, { writerId: to }, { writerId: to }]);
    await until(async () => (await manager.findOneByOrFail(Writer, { id: from })).booksCount === 1);
    await manager.update(Writer, { id: from }, { id: to });
    await until(async () => (await manager.findOneByOrFail(Writer, { id: to })).booksCount === 2);
    await worker.close();
    await expectExact();
  });
});
