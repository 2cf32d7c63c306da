import { Column, Entity, IsNull, ManyToOne, PrimaryGeneratedColumn, type Relation, JoinColumn } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Internals, openInternals } from '../internals';
import { type Fixture, setup } from '../../support/setup';
import { EXACT, wrongOnceIdle } from './exact';

@Entity()
class Team {
  @PrimaryGeneratedColumn() id!: number;
}

@Entity()
class Moderator {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Team, { onDelete: 'CASCADE' }) team!: Relation<Team>;
}

@Entity()
class Board {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) freeCount!: number;
  @Column({ default: 0 }) freeThreads!: number;
}

@Entity()
@CounterCache<Thread, Board>({ relation: 'board', column: 'freeThreads', where: { moderatorId: IsNull() } })
class Thread {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ nullable: true }) moderatorId!: number | null;
  @ManyToOne(() => Moderator, { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'moderatorId' })
  moderator!: Relation<Moderator> | null;
  @ManyToOne(() => Board) board!: Relation<Board>;
}

@Entity()
@CounterCache<Message, Board>({
  relation: 'thread.board',
  column: 'freeCount',
  where: { thread: { moderatorId: IsNull() } },
})
class Message {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Thread) thread!: Relation<Thread>;
}

let fixture: Fixture;
let internals: Internals;

beforeAll(async () => {
  fixture = await setup({ entities: [Team, Moderator, Board, Thread, Message] });
  internals = await openInternals(fixture.dataSource);
});
afterAll(async () => {
  await internals.close();
  await fixture.close();
});

test.each(['Moderator', 'Team'])('SET NULL on a row between, by the deletion of a %s', async (what) => {
  const { manager } = fixture.dataSource;
  const team = await manager.save(manager.create(Team));
  const moderator = await manager.save(manager.create(Moderator, { team }));
  const board = await manager.save(manager.create(Board));
  const thread = await manager.save(manager.create(Thread, { moderator, board }));
  await manager.insert(Message, [{ thread }, { thread }]);
  await fixture.counters.flush();
  if (what === 'Team') await manager.delete(Team, team.id);
  else await manager.delete(Moderator, moderator.id);
  expect(await wrongOnceIdle(fixture, internals)).toEqual(EXACT);
});
