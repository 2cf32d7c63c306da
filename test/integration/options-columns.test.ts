import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { expectAgreement, expectRecount, randomFrom } from './agreement';

@Entity()
class Poll {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) yes!: number;
  @Column({ type: 'numeric', precision: 10, scale: 1, default: 0 }) no!: NumericText;
  @Column({ default: 0 }) votesCount!: number;
  @Column({ default: 0 }) firstCount!: number;
  @Column({ default: 0 }) secondCount!: number;
}

@Entity()
@CounterCache<Vote, Poll>({
  relation: 'poll',
  column: ({ choice }) => (choice === 'yes' || choice === 'no' ? choice : null),
  columns: ['yes', 'no'],
  incrementBy: ({ weight }) => weight,
})
@CounterCache<Vote, Poll>({ relation: 'poll', column: 'votesCount', name: 'all-votes' })
@CounterCache<Vote, Poll>({ relation: 'poll', column: 'firstCount', where: { weight: 1 } })
@CounterCache<Vote, Poll>({ relation: 'second', column: 'secondCount' })
class Vote {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'text', nullable: true }) choice!: string | null;
  @Column({ default: 1 }) weight!: number;
  @ManyToOne(() => Poll, { nullable: true }) poll!: Relation<Poll> | null;
  @ManyToOne(() => Poll, { nullable: true }) second!: Relation<Poll> | null;
}

@Entity()
class Project {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) itemsCount!: number;
  @Column({ default: 0 }) weight!: number;
}

@Entity()
@CounterCache<Task, Project>({ relation: 'project', column: 'itemsCount' })
@CounterCache<Task, Project>({ relation: 'reviewer', column: 'itemsCount' })
class Task {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Project, { nullable: true }) project!: Relation<Project> | null;
  @ManyToOne(() => Project, { nullable: true }) reviewer!: Relation<Project> | null;
}

@Entity()
@CounterCache<Bug, Project>({ relation: 'project', column: 'itemsCount', incrementBy: 3 })
@CounterCache<Bug, Project>({ relation: 'project', column: 'weight', incrementBy: ({ id }) => (id % 5) + 1 })
class Bug {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Project, { nullable: true }) project!: Relation<Project> | null;
}

const POLLS = `SELECT p.id, ARRAY[yes::text, no::text, "votesCount"::text, "firstCount"::text, "secondCount"::text] AS got, ARRAY[
  (SELECT COALESCE(sum(weight), 0)::text FROM vote v WHERE v."pollId" = p.id AND choice = 'yes'),
  (SELECT COALESCE(sum(weight), 0)::numeric(10,1)::text FROM vote v WHERE v."pollId" = p.id AND choice = 'no'),
  (SELECT count(*)::text FROM vote v WHERE v."pollId" = p.id),
  (SELECT count(*)::text FROM vote v WHERE v."pollId" = p.id AND weight = 1),
  (SELECT count(*)::text FROM vote v WHERE v."secondId" = p.id)] AS right FROM poll p ORDER BY p.id`;
const PROJECTS = `SELECT p.id, ARRAY["itemsCount", weight]::text[] AS got, ARRAY[
  (SELECT count(*) FROM task t WHERE t."projectId" = p.id) + (SELECT count(*) FROM task t WHERE t."reviewerId" = p.id)
    + (SELECT 3 * count(*) FROM bug b WHERE b."projectId" = p.id),
  (SELECT COALESCE(sum(b.id % 5 + 1), 0) FROM bug b WHERE b."projectId" = p.id)]::text[] AS right FROM project p ORDER BY p.id`;

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Poll, Vote, Project, Task, Bug] });
});
afterEach(() => expect(fixture.errors).toEqual([]));
afterAll(() => fixture.close());

const random = randomFrom(11);
const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;

test('a column picked per row, null included, and several counters on one relation', async () => {
  const { manager } = fixture.dataSource;
  const polls = [...(await manager.save(manager.create(Poll, [{}, {}]))), null];
  const newVote = () => ({
    choice: pick(['yes', 'no', 'blank', null]),
    weight: pick([0, 1, 4]),
    poll: pick(polls),
    second: pick(polls),
  });
  for (let round = 0; round < 5; round++) {
    const votes = await manager.save(Vote, Array.from({ length: 20 }, newVote));
    await expectAgreement(fixture, POLLS);
    for (const { id } of votes) await manager.update(Vote, { id }, newVote());
    await expectAgreement(fixture, POLLS);
    await manager.delete(Vote, { choice: 'yes', weight: 4 });
    await manager.update(Vote, { choice: 'blank' }, { choice: 'no' });
  }
  await expectAgreement(fixture, POLLS);
  await expectRecount(fixture, 'UPDATE poll SET yes = 77, "secondCount" = -1', POLLS);
});

test('several counters feed one column', async () => {
  const { manager } = fixture.dataSource;
  const projects = [...(await manager.save(manager.create(Project, [{}, {}]))), null];
  const tasks = await manager.save(
    Task,
    Array.from({ length: 30 }, () => ({ project: pick(projects), reviewer: pick(projects) })),
  );
  const bugs = await manager.save(
    Bug,
    Array.from({ length: 30 }, () => ({ project: pick(projects) })),
  );
  await expectAgreement(fixture, PROJECTS);
  for (const { id } of tasks) await manager.update(Task, { id }, { project: pick(projects) });
  for (const { id } of bugs.slice(10)) await manager.save(Bug, { id, project: pick(projects) });
  await manager.delete(
    Bug,
    bugs.slice(0, 10).map(({ id }) => id),
  );
  await expectAgreement(fixture, PROJECTS);
  await expectRecount(fixture, 'UPDATE project SET "itemsCount" = 5000, weight = 0', PROJECTS);
});

test('a recount of one counter covers the whole column that it shares', async () => {
  const { manager } = fixture.dataSource;
  const project = await manager.save(manager.create(Project));
  await manager.insert(Bug, { project });
  await manager.insert(Task, { project, reviewer: project });
  await fixture.counters.flush();
  await manager.query('UPDATE project SET "itemsCount" = 1 WHERE id = $1', [project.id]);
  const counter = fixture.counters.definitions.find(({ label }) => label.startsWith('Bug.project'));
  const report = await fixture.counters.recalculate({ counter: counter?.name ?? '', ids: [project.id] });
  expect(report).toMatchObject({ checked: 1, fixed: [{ wrong: '1', right: '5' }] });
  await expectAgreement(fixture, PROJECTS);
});

test('names are given or derived, and select what is recounted', async () => {
  const { definitions } = fixture.counters;
  expect(definitions.map(({ name }) => name).toSorted()).toEqual([
    'Bug.project>Project.itemsCount',
    'Bug.project>Project.weight',
    'Task.project>Project.itemsCount',
    'Task.reviewer>Project.itemsCount',
    'Vote.poll>Poll.firstCount',
    'Vote.poll>Poll.yes|no',
    'Vote.second>Poll.secondCount',
    'all-votes',
  ]);
  await fixture.dataSource.query('UPDATE poll SET "votesCount" = 60, "firstCount" = 60');
  const { fixed } = await fixture.counters.recalculate({ counter: 'all-votes' });
  expect([...new Set(fixed.map(({ column }) => column))]).toEqual(['votesCount']);
  await expect(fixture.counters.recalculate({ counter: 'all-vote' })).rejects.toThrow("unknown counter 'all-vote'");
  await fixture.counters.recalculate();
  await expectAgreement(fixture, POLLS);
});
