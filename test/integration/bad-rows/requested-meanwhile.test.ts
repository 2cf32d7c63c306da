import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { recalculateDue } from '../../../src/recount/recalculate';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { type Internals, openInternals } from '../internals';

@Entity()
class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) booksCount!: number;
  @Column({ default: 0 }) weight!: number;
}

/** What the next recount does. */
let weigh: () => Promise<number> = async () => 0;

@Entity()
@CounterCache<Book, Shelf>({ relation: 'shelf', column: 'booksCount' })
@CounterCache<Book, Shelf>({ relation: 'shelf', column: 'weight', method: () => weigh() })
class Book {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Shelf) shelf!: Relation<Shelf>;
}

describe('a recount that fails', () => {
  let fixture: Fixture;
  let internals: Internals;

  beforeAll(async () => {
    fixture = await setup({ entities: [Shelf, Book] });
    internals = await openInternals(fixture.dataSource);
    internals.context.events.on('error', () => undefined);
  });
  afterAll(async () => {
    await internals.close();
    await fixture.close();
  });

  /** Whether the request of the shelf is still due, after a recount that fails once `meanwhile` is done. */
  async function isDueAfter(meanwhile: (shard: number, target: string) => Promise<unknown>): Promise<boolean> {
    const { buffer } = internals.context;
    const { manager } = fixture.dataSource;
    const { id } = await manager.save(manager.create(Shelf));
    const { shard, target } = internals.place(Shelf, id);
    await buffer.requestRepair(shard, [target], 0n);
    let began = false;
    let fail = (): void => undefined;
    const failing = new Promise<void>((resolve) => (fail = resolve));
    weigh = async () => {
      began = true;
      await failing;
      throw new Error('no scales');
    };
    const recount = recalculateDue(internals.context, shard);
    await until(() => began);
    await meanwhile(shard, target);
    fail();
    await recount;
    weigh = async () => 0;
    return (await buffer.dueRecalculations(shard, 10)).some((due) => due.target === target);
  }

  test('is tried again after a while', async () => {
    expect(await isDueAfter(async () => undefined)).toBe(false);
  });

  test('does not put off what was asked for meanwhile', async () => {
    const { buffer } = internals.context;
    const again = (shard: number, target: string) => buffer.requestRepair(shard, [target], 0n);
    const { dataSource } = fixture;
    await isDueAfter(again);
    // It was counted in the next round of the same run, or waits for half a second at the most.
    const rows = await dataSource.manager.find(Shelf, { order: { id: 'DESC' }, take: 1 });
    const { shard, target } = internals.place(Shelf, rows[0]?.id ?? 0);
    await until(async () => {
      await recalculateDue(internals.context, shard);
      return (await buffer.status(shard)).recalculations === 0;
    }, 10_000);
    expect(target).not.toBe('');
  });
});
