import { Column, DeleteDateColumn, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectMended, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity()
class Forum {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) title!: string;
  @Column({ default: 0 }) threadsCount!: number;
  @Column({ default: 0 }) pinnedCount!: number;
}

/** A narrow view of the same table, which knows of one of its counters. */
@Entity({ name: 'forum', synchronize: false })
class ForumTitle {
  @PrimaryGeneratedColumn() id!: number;
  @Column() title!: string;
  @Column({ default: 0 }) threadsCount!: number;
}

@Entity()
@CounterCache<Thread, Forum>({ relation: 'forum', column: 'threadsCount' })
@CounterCache<Thread, Forum>({ relation: 'forum', column: 'pinnedCount', where: { pinned: true } })
class Thread {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'varchar', unique: true, nullable: true }) slug!: string | null;
  @Column({ default: false }) pinned!: boolean;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Forum, { onDelete: 'CASCADE' }) forum!: Relation<Forum> | null;
}

/** The same rows, by other property names, and without a delete date. */
@Entity({ name: 'thread', synchronize: false })
class ThreadRow {
  @PrimaryGeneratedColumn({ name: 'id' }) key!: number;
  @Column({ name: 'slug', type: 'varchar', unique: true, nullable: true }) path!: string | null;
  @Column({ name: 'pinned', default: false }) sticky!: boolean;
  @Column({ name: 'forumId', type: 'int', nullable: true }) forumKey!: number | null;
}

const THREADS = 'FROM thread h WHERE h."forumId" = t.id AND h."deletedAt" IS NULL';
const FORUMS: Truth = {
  table: 'forum',
  columns: {
    '"threadsCount"': `(SELECT count(*) ${THREADS})`,
    '"pinnedCount"': `(SELECT count(*) ${THREADS} AND h.pinned)`,
  },
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Forum, ForumTitle, Thread, ThreadRow] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('several entities of one table, PostgreSQL %s', (version) => {
  let one: Forum;
  let two: Forum;
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;
  const right = (): Promise<void> => expectRight(fixture, [FORUMS]);

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Thread, Forum]);
    one = await manager().save(manager().create(Forum));
    two = await manager().save(manager().create(Forum));
  });
  afterEach(() => expectAgreed(fixture));

  test('every write through the one that declares counters', async () => {
    await expectEveryWrite<Forum>(fixture, {
      source: Thread,
      targets: [one, two],
      values: (forum, row) => ({ forum, pinned: row % 2 === 0 }),
      truths: [FORUMS],
    });
  });

  test('every write through the other', async () => {
    await expectEveryWrite<Forum>(fixture, {
      source: ThreadRow,
      targets: [one, two],
      values: (forum, row) => ({ forumKey: forum?.id ?? null, sticky: row % 2 === 0 }),
      truths: [FORUMS],
    });
  });

  test('both in turn', async () => {
    const thread = await manager().save(manager().create(Thread, { slug: 's', forum: one, pinned: true }));
    await manager().softRemove(thread);
    await manager().update(ThreadRow, { key: thread.id }, { forumKey: two.id });
    await right();
    await manager().restore(Thread, { id: thread.id });
    await manager().upsert(ThreadRow, { path: 's', sticky: false, forumKey: two.id }, ['path']);
    expect(await manager().countBy(Thread, { id: thread.id, pinned: false })).toBe(1);
    await right();
    await expectMended(fixture, [FORUMS]);
    await manager().remove(await manager().findOneByOrFail(ThreadRow, { key: thread.id }));
    await right();
  });

  test('a target is written and deleted through the other', async () => {
    await manager().insert(Thread, [{ forum: one }, { forum: one, pinned: true }, { forum: two }]);
    await right();
    const title = await manager().findOneByOrFail(ForumTitle, { id: one.id });
    await manager().save(Object.assign(title, { title: 'new', threadsCount: 70 }));
    await right();
    await manager().delete(ForumTitle, { id: one.id });
    expect(await manager().count(Thread)).toBe(1);
    await right();
    const again = await manager().save(manager().create(ForumTitle, { title: 'again' }));
    expect(again.threadsCount).toBe(0);
    await manager().insert(Thread, { forum: again });
    await right();
  });
});
