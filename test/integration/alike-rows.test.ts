import { Column, Entity, ManyToOne, MoreThan, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, type Mode } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';

@Entity()
class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) heavyCount!: number;
  @Column({ default: 0 }) weightSum!: number;
}

@Entity()
@CounterCache<Book, Shelf>({
  relation: 'shelf',
  column: 'heavyCount',
  where: { weight: MoreThan(5) },
})
@CounterCache<Book, Shelf>({ relation: 'shelf', column: 'weightSum', incrementBy: 'weight' })
class Book {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 1 }) weight!: number;
  @ManyToOne(() => Shelf, { nullable: true }) shelf!: Relation<Shelf> | null;
}

describe.each<Mode>(['buffered', 'outbox'])('%s', (mode) => {
  let fixture: Fixture;
  let one: Shelf;
  let two: Shelf;
  beforeEach(async () => {
    fixture = await setup({ entities: [Shelf, Book], counters: { mode } });
    one = await fixture.dataSource.manager.save(new Shelf());
    two = await fixture.dataSource.manager.save(new Shelf());
    // The first statement asks the database about the table.
    await fixture.dataSource.manager.insert(Book, { shelf: null });
  });
  afterEach(async () => {
    expect(fixture.errors).toEqual([]);
    await fixture.close();
  });

  async function expectCounts(...expected: readonly (readonly [heavy: number, weight: number])[]): Promise<void> {
    await fixture.counters.flush();
    const found = await fixture.dataSource.manager.find(Shelf, { order: { id: 'ASC' } });
    expect(found.map(({ heavyCount, weightSum }) => [heavyCount, weightSum])).toEqual(expected);
    expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0 });
  }

  test('rows that are all alike', async () => {
    const books = Array.from({ length: 20 }, () => ({ shelf: one, weight: 7 }));
    await fixture.dataSource.manager.insert(Book, books);
    await expectCounts([20, 140], [0, 0]);
  });

  test('rows that are alike here and there', async () => {
    const books = () => [
      { shelf: one, weight: 7 },
      { shelf: one, weight: 7 },
      { shelf: one, weight: 3 },
      { shelf: two, weight: 3 },
      { shelf: null, weight: 3 },
      { shelf: null, weight: 3 },
      { shelf: two, weight: 9 },
      { shelf: one, weight: 7 },
      { shelf: one },
    ];
    await fixture.dataSource.manager.insert(Book, books());
    await expectCounts([3, 25], [1, 12]);
    await fixture.dataSource.manager.save(Book, books());
    await expectCounts([6, 50], [2, 24]);
    await fixture.dataSource.manager.update(Book, { weight: 7 }, { weight: 2 });
    await expectCounts([0, 20], [2, 24]);
    await fixture.dataSource.manager.update(Book, { weight: 3 }, { shelf: one });
    await expectCounts([0, 38], [2, 18]);
    await fixture.dataSource.manager.delete(Book, { weight: 2 });
    await expectCounts([0, 26], [2, 18]);
  });
});
