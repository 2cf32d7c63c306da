import { randomUUID } from 'node:crypto';

import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { answerAs, clear, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';
import { expectWorkerRight, untilIdle } from './worker';

@Entity()
class Invoice {
  @PrimaryColumn('uuid') id!: string;
  @Column({ default: 0 }) linesCount!: number;
}

@Entity()
class Draft {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column({ default: 0 }) linesCount!: number;
}

/** Its references are checked at COMMIT, or never. */
@Entity()
@CounterCache<Line, Invoice>({ relation: 'invoice', column: 'linesCount', recalculation: false })
@CounterCache<Line, Draft>({ relation: 'draft', column: 'linesCount', recalculation: false })
class Line {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'uuid', nullable: true }) invoiceId!: string | null;
  @ManyToOne(() => Invoice, { deferrable: 'INITIALLY DEFERRED' })
  @JoinColumn({ name: 'invoiceId' })
  invoice!: Relation<Invoice> | null;
  @Column({ type: 'uuid', nullable: true }) draftId!: string | null;
  @ManyToOne(() => Draft, { createForeignKeyConstraints: false })
  @JoinColumn({ name: 'draftId' })
  draft!: Relation<Draft> | null;
}

const truth = (table: string, key: string): Truth => ({
  table,
  columns: { '"linesCount"': `(SELECT count(*) FROM line l WHERE l."${key}" = t.id)` },
});
const INVOICES = truth('invoice', 'invoiceId');
const DRAFTS = truth('draft', 'draftId');

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Invoice, Draft, Line] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('sources that are there before their target, PostgreSQL %s', (version) => {
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(() => clear(fixture, [Line, Invoice, Draft]));
  afterEach(() => expectAgreed(fixture));

  test('within the transaction, and others of it roll back', async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    await fixture.dataSource.transaction(async (inner) => {
      await inner.insert(Line, [{ invoiceId: first }, { invoiceId: second }, { invoiceId: first }]);
      await inner.insert(Invoice, { id: first });
      await inner.save(Invoice, { id: second });
      await inner.update(Line, { invoiceId: second }, { invoiceId: first });
    });
    await expectWorkerRight(fixture);
    await expectRight(fixture, [INVOICES]);
    const orphan = fixture.dataSource.transaction((inner) => inner.insert(Line, { invoiceId: randomUUID() }));
    await expect(orphan).rejects.toThrow('foreign key');
    await expectRight(fixture, [INVOICES]);
  });

  test('a target is replaced by another of the same key', async () => {
    const id = randomUUID();
    await manager().insert(Invoice, { id });
    await manager().insert(Line, [{ invoiceId: id }, { invoiceId: id }]);
    await fixture.counters.settled();
    await fixture.dataSource.transaction(async (inner) => {
      await inner.delete(Invoice, { id });
      await inner.insert(Line, { invoiceId: id });
      await inner.insert(Invoice, { id });
    });
    await expectWorkerRight(fixture);
    await expectRight(fixture, [INVOICES]);
    expect(await manager().findOneByOrFail(Invoice, { id })).toMatchObject({ linesCount: 3 });
  });

  test('in transactions before, where no constraint forbids it', async () => {
    const worker = await fixture.counters.startWorker();
    const id = randomUUID();
    await manager().insert(Line, [{ draftId: id }, { draftId: id }]);
    await untilIdle(fixture);
    await manager().insert(Line, { draftId: id });
    await manager().insert(Draft, { id: id.toUpperCase() });
    await untilIdle(fixture);
    await worker.close();
    await expectRight(fixture, [DRAFTS]);
    expect(await manager().findOneByOrFail(Draft, { id })).toMatchObject({ linesCount: 3 });
    await manager().delete(Draft, { id });
    await manager().insert(Line, { draftId: id });
    await manager().save(manager().create(Draft, { id }));
    await expectWorkerRight(fixture);
    await expectRight(fixture, [DRAFTS]);
  });
});
