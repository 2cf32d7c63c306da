import { randomUUID } from 'node:crypto';

import {
  Column,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type QueryRunner,
  type Relation,
} from 'typeorm';
import { CounterCache, type CountersOptions } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { describeVersions } from '../../support/versions';
import { expectAgreed } from '../shapes/truth';

@Entity()
class Order {
  @PrimaryColumn('uuid') id!: string;
  @Column({ default: 0 }) linesCount!: number;
  @Column({ default: 0 }) notesCount!: number;
  @OneToMany(() => Line, (line) => line.order, { cascade: true }) lines!: Line[];
}

@Entity()
@CounterCache<Line, Order>({ relation: 'order', column: 'linesCount' })
class Line {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Order, (order) => order.lines, { onDelete: 'CASCADE' }) order!: Relation<Order>;
}

/** Its foreign keys vouch for every row on the way. */
@Entity()
@CounterCache<Note, Order>({ relation: 'line.order', column: 'notesCount' })
class Note {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Line, { onDelete: 'CASCADE' }) line!: Relation<Line>;
}

/** Nothing vouches for its key. */
@Entity()
class Draft {
  @PrimaryColumn('uuid') id!: string;
  @Column({ default: 0 }) pagesCount!: number;
}

@Entity()
@CounterCache<Page, Draft>({ relation: 'draft', column: 'pagesCount' })
class Page {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Draft, { createForeignKeyConstraints: false })
  @JoinColumn()
  draft!: Relation<Draft>;
}

const ENTITIES = [Order, Line, Note, Draft, Page];

describeVersions('a target whose key the caller chooses', (server) => {
  describe.each(['buffered', 'outbox'] as const)('%s', (mode: NonNullable<CountersOptions['mode']>) => {
    let fixture: Fixture;
    let open: QueryRunner;
    let recounted: number;

    beforeAll(async () => {
      fixture = await setup({ entities: ENTITIES, counters: { mode }, server: server() });
      fixture.counters.on('recalculated', ({ checked }) => (recounted += checked));
    });
    /** A transaction that has written, and does not end. */
    beforeEach(async () => {
      recounted = 0;
      open = fixture.dataSource.createQueryRunner();
      await open.startTransaction();
      await open.manager.insert(Order, { id: randomUUID() });
    });
    const end = async (): Promise<void> => {
      if (open.isReleased) return;
      await open.rollbackTransaction();
      await open.release();
    };
    afterEach(end);
    afterAll(() => fixture.close());

    const read = (id: string) => fixture.counters.read(Order, id, 'linesCount');
    const orderOf = async (id: string): Promise<Order | null> => {
      await fixture.counters.settled();
      await fixture.counters.flush();
      return fixture.dataSource.manager.findOneBy(Order, { id });
    };
    const newOrder = (id: string, lines: number): Order =>
      fixture.dataSource.manager.create(Order, { id, lines: Array.from({ length: lines }, () => new Line()) });

    test('counts its own children at once, and is not recounted', async () => {
      const { manager } = fixture.dataSource;
      const id = randomUUID();
      await manager.save(newOrder(id, 2));
      await fixture.counters.settled();
      expect(await read(id)).toBe(2);
      const order = await orderOf(id);
      expect(order?.linesCount).toBe(2);
      const [line] = await manager.findBy(Line, { order: { id } });
      if (line !== undefined) await manager.insert(Note, [{ line }, { line }]);
      expect(await orderOf(id)).toMatchObject({ linesCount: 2, notesCount: 2 });
      await end();
      expect(recounted).toBe(0);
      await expectAgreed(fixture);
    });

    test('by an upsert, too', async () => {
      const { manager } = fixture.dataSource;
      const id = randomUUID();
      await manager.transaction(async (inner) => {
        await inner.upsert(Order, { id }, ['id']);
        await inner.insert(Line, { order: { id } });
      });
      expect((await orderOf(id))?.linesCount).toBe(1);
      await end();
      expect(recounted).toBe(0);
    });

    test('that was another before: what was pending for that one does not stay', async () => {
      const { manager } = fixture.dataSource;
      const id = randomUUID();
      await manager.save(newOrder(id, 3));
      await orderOf(id);
      // Not applied when the row goes.
      await manager.delete(Line, { order: { id } });
      await manager.insert(Line, { order: { id } });
      await manager.delete(Order, { id });
      await manager.save(newOrder(id, 2));
      await fixture.counters.settled();
      await end();
      const worker = await fixture.counters.startWorker();
      await fixture.counters.recalculate({ target: Order, ids: [id] });
      await worker.close();
      expect((await orderOf(id))?.linesCount).toBe(2);
      await expectAgreed(fixture);
    });

    test('deleted and made again in one transaction', async () => {
      const { manager } = fixture.dataSource;
      const id = randomUUID();
      await manager.save(newOrder(id, 3));
      await manager.transaction(async (inner) => {
        await inner.delete(Order, { id });
        await inner.save(newOrder(id, 1));
      });
      await end();
      await fixture.counters.settled();
      await fixture.counters.recalculate({ target: Order, ids: [id] });
      expect((await orderOf(id))?.linesCount).toBe(1);
      await expectAgreed(fixture);
    });

    test('without a foreign key counts the children that were there before', async () => {
      const { manager } = fixture.dataSource;
      const id = randomUUID();
      await manager.insert(Page, { draft: { id } });
      await fixture.counters.settled();
      await fixture.counters.flush();
      await manager.insert(Draft, { id });
      await end();
      const worker = await fixture.counters.startWorker();
      await fixture.counters.settled();
      await fixture.counters.recalculate({ target: Draft, ids: [id] });
      await worker.close();
      expect(await manager.findOneBy(Draft, { id })).toMatchObject({ pagesCount: 1 });
      await expectAgreed(fixture);
    });
  });
});
