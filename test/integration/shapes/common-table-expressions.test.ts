import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { answerAs, clear, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity()
class Lane {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) tasksCount!: number;
}

@Entity()
@CounterCache<Task, Lane>({ relation: 'lane', column: 'tasksCount' })
@CounterCache<Task, Task>({ relation: 'parent', column: 'stepsCount' })
class Task {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) rank!: number;
  @Column({ default: 0 }) stepsCount!: number;
  @ManyToOne(() => Lane) lane!: Relation<Lane> | null;
  @ManyToOne(() => Task, { onDelete: 'CASCADE' }) parent!: Relation<Task> | null;
}

const TRUTHS: readonly Truth[] = [
  { table: 'lane', columns: { '"tasksCount"': '(SELECT count(*) FROM task k WHERE k."laneId" = t.id)' } },
  { table: 'task', columns: { '"stepsCount"': '(SELECT count(*) FROM task k WHERE k."parentId" = t.id)' } },
];

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Lane, Task] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('writes with a WITH clause, PostgreSQL %s', (version) => {
  let lanes: Lane[];
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Task, Lane]);
    lanes = await manager().save(manager().create(Lane, [{}, {}]));
    const lane = lanes[0] ?? null;
    const parent = await manager().save(manager().create(Task, { lane, rank: 9 }));
    await manager().insert(
      Task,
      [1, 2, 3, 4].map((rank) => ({ lane, rank, parent })),
    );
  });
  afterEach(() => expectAgreed(fixture));

  const TOP = 'SELECT id FROM task WHERE rank > 2 AND rank < 9';

  test('update', async () => {
    const query = manager()
      .createQueryBuilder()
      .update(Task)
      .set({ lane: lanes[1] ?? null });
    await query.addCommonTableExpression(TOP, 'top').where('id IN (SELECT id FROM top)').execute();
    expect(await manager().countBy(Task, { lane: { id: lanes[1]?.id ?? 0 } })).toBe(2);
    await expectRight(fixture, TRUTHS);
  });

  test('delete, of a table that refers to itself', async () => {
    const query = manager().createQueryBuilder().delete().from(Task);
    await query.addCommonTableExpression(TOP, 'top').where('id IN (SELECT id FROM top)').execute();
    expect(await manager().count(Task)).toBe(3);
    await expectRight(fixture, TRUTHS);
  });
});
