import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Internals, openInternals } from '../internals';
import { type Fixture, setup } from '../../support/setup';
import { EXACT, wrongOnceIdle } from './exact';

@Entity()
class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) pagesCount!: number;
}

@Entity()
class Book {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ unique: true }) isbn!: string;
  @ManyToOne(() => Shelf) shelf!: Relation<Shelf> | null;
}

@Entity()
@CounterCache<Page, Shelf>({ relation: 'book.shelf', column: 'pagesCount' })
class Page {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Book) book!: Relation<Book>;
}

let fixture: Fixture;
let internals: Internals;

describe.each(['18', '17.0'])('PostgreSQL %s', (version) => {
  beforeAll(async () => {
    fixture = await setup({ entities: [Shelf, Book, Page] });
    if (version === '17.0') (fixture.dataSource.driver as { version?: string }).version = version;
    internals = await openInternals(fixture.dataSource);
  });
  afterAll(async () => {
    await internals.close();
    await fixture.close();
  });

  test('an upsert that moves a row between', async () => {
    const { manager } = fixture.dataSource;
    const shelf = (): Promise<Shelf> => manager.save(manager.create(Shelf));
    const [from, to] = [await shelf(), await shelf()];
    const book = await manager.save(manager.create(Book, { isbn: version, shelf: from }));
    await manager.insert(Page, [{ book }, { book }]);
    await manager.upsert(Book, { isbn: version, shelf: to }, ['isbn']);
    expect(await wrongOnceIdle(fixture, internals)).toEqual(EXACT);
  });
});
