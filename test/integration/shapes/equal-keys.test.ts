import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { answerAs, clear, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';
import { expectWorkerRight } from './worker';

@Entity()
class Rate {
  @PrimaryColumn({ type: 'numeric' }) percent!: string;
  @Column({ default: 0 }) visitsCount!: number;
}

@Entity()
@CounterCache<Visit, Rate>({ relation: 'rate', column: 'visitsCount', recalculation: false })
class Visit {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'numeric', nullable: true }) ratePercent!: string | null;
  @ManyToOne(() => Rate, { onDelete: 'CASCADE' }) @JoinColumn({ name: 'ratePercent' }) rate!: Relation<Rate>;
}

const truth = (table: string, foreignKey: string, key: string): Truth => ({
  table,
  columns: { '"visitsCount"': `(SELECT count(*) FROM visit v WHERE v."${foreignKey}" = t.${key})` },
});

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Rate, Visit] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('keys that are equal though written otherwise, PostgreSQL %s', (version) => {
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Visit, Rate]);
    await manager().insert(Rate, [{ percent: '1.50' }, { percent: '2' }]);
    await expectWorkerRight(fixture);
  });
  afterEach(() => expectAgreed(fixture));

  describe.each([
    ['numbers without a scale', 'ratePercent', ['1.5', '1.50', '2.0'], truth('rate', 'ratePercent', 'percent')],
  ] as const)('%s', (_, property, keys, right) => {
    const [other, same, second] = keys;

    test('are counted in the row that they refer to', async () => {
      await manager().insert(Visit, [{ [property]: other }, { [property]: same }, { [property]: second }]);
      await expectRight(fixture, [right]);
      await manager().update(Visit, { [property]: other }, { [property]: second });
      await manager().delete(Visit, { [property]: same });
      await expectRight(fixture, [right]);
    });

    test('move to an equal key without a change', async () => {
      await manager().insert(Visit, [{ [property]: same }, { [property]: second }]);
      await fixture.counters.flush();
      await manager().update(Visit, { [property]: same }, { [property]: other });
      await expectRight(fixture, [right]);
    });

    test('are counted once when a recount comes before what is pending', async () => {
      await manager().insert(Visit, [{ [property]: other }, { [property]: same }, { [property]: second }]);
      await fixture.counters.settled();
      await fixture.counters.recalculate();
      await expectRight(fixture, [right]);
    });

    test('are read with what is pending', async () => {
      await manager().insert(Visit, [{ [property]: other }, { [property]: same }]);
      await fixture.counters.settled();
      expect(await fixture.counters.read(Rate, same, 'visitsCount')).toBe(2);
      expect(await fixture.counters.read(Rate, other, 'visitsCount')).toBe(2);
      await expectRight(fixture, [right]);
    });
  });
});
