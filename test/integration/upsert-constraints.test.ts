import {
  Column,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  Unique,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';
import { type Fixture, setup } from '../support/setup';

@Entity()
class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) booksCount!: number;
}
@Entity()
@Unique('uq_slug', ['slug'])
@CounterCache<Book, Shelf>({ relation: 'shelf', column: 'booksCount' })
class Book {
  @PrimaryColumn() id!: number;
  @Column() slug!: string;
  @Column({ default: '' }) title!: string;
  @Column({ type: 'integer', nullable: true }) shelfId!: number | null;
  @ManyToOne(() => Shelf) @JoinColumn({ name: 'shelfId' }) shelf!: Relation<Shelf>;
}
const WRONG = `SELECT s.id, s."booksCount", count(b.id)::int AS truth FROM shelf s LEFT JOIN book b ON b."shelfId" = s.id
  GROUP BY s.id HAVING s."booksCount" <> count(b.id)`;

describe.each(['18', '17.0'])('PostgreSQL %s', (version) => {
  let fixture: Fixture;
  let one: Shelf, two: Shelf;
  beforeEach(async () => {
    fixture = await setup({ entities: [Shelf, Book] });
    (fixture.dataSource.driver as { version?: string }).version = version;
    const { manager } = fixture.dataSource;
    [one, two] = (await manager.save([manager.create(Shelf), manager.create(Shelf)])) as [Shelf, Shelf];
    await manager.insert(Book, { id: 1, slug: 'a', shelfId: one.id });
  });
  afterEach(() => fixture.close());
  const expectExact = async () => {
    await fixture.counters.settled();
    await fixture.counters.flush();
    expect(await fixture.dataSource.query(WRONG)).toEqual([]);
  };

  test('by constraint name, with a new key; the error is caught, and the transaction committed', async () => {
    let error: unknown = null;
    await fixture.dataSource.transaction(async (m) => {
      await m
        .createQueryBuilder()
        .insert()
        .into(Book)
        .values({ id: 9, slug: 'a', shelfId: two.id })
        .orUpdate(['id', 'shelfId'], 'uq_slug')
        .execute()
        .catch((e: unknown) => (error = e));
    });
    await expectExact();
    expect(error).toBeNull();
  });
  test('by constraint name', async () => {
    await fixture.dataSource
      .createQueryBuilder()
      .insert()
      .into(Book)
      .values({ id: 1, slug: 'a', shelfId: two.id })
      .orUpdate(['shelfId'], 'uq_slug')
      .execute();
    await expectExact();
  });
});
