import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Internals, openInternals } from '../internals';
import { type Fixture, setup } from '../../support/setup';
import { EXACT, wrongOnceIdle } from './exact';

@Entity()
@CounterCache<Place, Place>({ relation: 'parent.parent', column: 'grandchildrenCount' })
class Place {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) grandchildrenCount!: number;
  @ManyToOne(() => Place) parent!: Relation<Place> | null;
}

@Entity()
class Topic {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) answersCount!: number;
}

@Entity()
class Tenant {
  @PrimaryGeneratedColumn() id!: number;
}

@Entity()
class Question {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Tenant, { onDelete: 'CASCADE' }) tenant!: Relation<Tenant>;
  @ManyToOne(() => Topic) topic!: Relation<Topic>;
}

@Entity()
@CounterCache<Answer, Topic>({ relation: 'question.topic', column: 'answersCount' })
class Answer {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Tenant, { onDelete: 'CASCADE' }) tenant!: Relation<Tenant>;
  @ManyToOne(() => Question) question!: Relation<Question>;
}

let fixture: Fixture;
let internals: Internals;

describe.each(['18', '17.0'])('PostgreSQL %s', (version) => {
  beforeAll(async () => {
    fixture = await setup({ entities: [Place, Topic, Tenant, Question, Answer] });
    if (version === '17.0') (fixture.dataSource.driver as { version?: string }).version = version;
    internals = await openInternals(fixture.dataSource);
  });
  afterAll(async () => {
    await internals.close();
    await fixture.close();
  });

  test('a source and its row between, deleted by one DELETE of one table', async () => {
    const { manager } = fixture.dataSource;
    const root = await manager.save(manager.create(Place, {}));
    const middle = await manager.save(manager.create(Place, { parent: root }));
    const leaf = await manager.save(manager.create(Place, { parent: middle }));
    await fixture.counters.flush();
    await manager.delete(Place, [middle.id, leaf.id]);
    expect(await wrongOnceIdle(fixture, internals)).toEqual(EXACT);
  });

  test('a source and its row between, deleted by cascades from a third table', async () => {
    const { manager } = fixture.dataSource;
    const tenant = await manager.save(manager.create(Tenant));
    const topic = await manager.save(manager.create(Topic));
    const question = await manager.save(manager.create(Question, { tenant, topic }));
    await manager.insert(Answer, [
      { question, tenant },
      { question, tenant },
    ]);
    await fixture.counters.flush();
    await manager.delete(Tenant, tenant.id);
    expect(await wrongOnceIdle(fixture, internals)).toEqual(EXACT);
  });
});
