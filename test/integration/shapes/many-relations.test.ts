import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToOne,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectMended, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity()
class Team {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) membersCount!: number;
  @Column({ default: 0 }) messagesCount!: number;
}

/** A target of four counters, two columns of which several feed, and a source of one. */
@Entity()
@CounterCache<Person, Team>({ relation: 'team', column: 'membersCount' })
class Person {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) sentCount!: number;
  @Column({ default: 0 }) receivedCount!: number;
  @Column({ default: 0 }) messagesCount!: number;
  @Column({ default: 0 }) lettersSum!: number;
  @ManyToOne(() => Team, { onDelete: 'SET NULL' }) team!: Relation<Team> | null;
}

@Entity()
@CounterCache<Message, Person>({ relation: 'sender', column: 'sentCount' })
@CounterCache<Message, Person>({ relation: 'receiver', column: 'receivedCount' })
@CounterCache<Message, Person>({ relation: 'sender', column: 'messagesCount', name: 'messages sent' })
@CounterCache<Message, Person>({ relation: 'receiver', column: 'messagesCount', name: 'messages received' })
@CounterCache<Message, Person>({ relation: 'sender', column: 'lettersSum', incrementBy: 'letters' })
@CounterCache<Message, Team>({ relation: 'team', column: 'messagesCount' })
class Message {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 1 }) letters!: number;
  @Column({ default: 0 }) likesCount!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Person, { onDelete: 'SET NULL' }) sender!: Relation<Person> | null;
  @ManyToOne(() => Person, { onDelete: 'CASCADE' }) receiver!: Relation<Person> | null;
  @ManyToOne(() => Team, { onDelete: 'SET NULL' }) team!: Relation<Team> | null;
}

/** Another source of the same columns; it counts the other way round. */
@Entity()
@CounterCache<Recall, Person>({ relation: 'by', column: 'messagesCount', incrementBy: -1 })
@CounterCache<Recall, Person>({ relation: 'by', column: 'lettersSum', incrementBy: ({ id }) => -(id % 3) })
class Recall {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Person, { onDelete: 'CASCADE' }) by!: Relation<Person> | null;
}

/** One row at most per target. */
@Entity()
@CounterCache<Pin, Message>({ relation: 'message', column: 'likesCount', incrementBy: 100 })
class Pin {
  @PrimaryGeneratedColumn() id!: number;
  @OneToOne(() => Message, { onDelete: 'CASCADE' }) @JoinColumn() message!: Relation<Message> | null;
}

@Entity()
@CounterCache<Like, Message>({ relation: 'message', column: 'likesCount' })
class Like {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Message, { onDelete: 'CASCADE' }) message!: Relation<Message>;
}

const messages = (what: string, key: string): string =>
  `(SELECT COALESCE(${what}, 0) FROM message m WHERE m."${key}" = t.id AND m."deletedAt" IS NULL)`;
const recalls = (what: string): string => `(SELECT COALESCE(${what}, 0) FROM recall r WHERE r."byId" = t.id)`;
const PEOPLE: Truth = {
  table: 'person',
  columns: {
    '"sentCount"': messages('count(*)', 'senderId'),
    '"receivedCount"': messages('count(*)', 'receiverId'),
    '"messagesCount"': `${messages('count(*)', 'senderId')} + ${messages('count(*)', 'receiverId')} - ${recalls('count(*)')}`,
    '"lettersSum"': `${messages('sum(m.letters)', 'senderId')} - ${recalls('sum(r.id % 3)')}`,
  },
};
const TEAMS: Truth = {
  table: 'team',
  columns: {
    '"membersCount"': '(SELECT count(*) FROM person p WHERE p."teamId" = t.id)',
    '"messagesCount"': messages('count(*)', 'teamId'),
  },
};
const MESSAGES: Truth = {
  table: 'message',
  columns: {
    '"likesCount"': `(SELECT count(*) FROM "like" l WHERE l."messageId" = t.id)
      + 100 * (SELECT count(*) FROM pin p WHERE p."messageId" = t.id)`,
  },
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Team, Person, Message, Recall, Pin, Like] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('several relations, PostgreSQL %s', (version) => {
  let team: Team;
  let ann: Person;
  let bob: Person;
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Like, Pin, Recall, Message, Person, Team]);
    team = await manager().save(manager().create(Team));
    ann = await manager().save(manager().create(Person, { team }));
    bob = await manager().save(manager().create(Person, { team }));
  });
  afterEach(() => expectAgreed(fixture));

  test('a source that feeds two targets through two relations, which are one at times', async () => {
    await expectEveryWrite<Person>(fixture, {
      source: Message,
      targets: [ann, bob],
      values: (sender, row) => ({
        sender,
        receiver: row % 3 === 0 ? sender : bob,
        team: row % 2 === 0 ? team : null,
        letters: row,
      }),
      truths: [PEOPLE, TEAMS],
    });
  });

  test('two sources that feed one column', async () => {
    await manager().insert(Message, [
      { sender: ann, receiver: bob, letters: 9 },
      { sender: bob, receiver: bob },
    ]);
    await expectEveryWrite<Person>(fixture, {
      source: Recall,
      targets: [ann, bob],
      values: (by) => ({ by }),
      truths: [PEOPLE],
    });
  });

  test('sender and receiver change places', async () => {
    await manager().insert(Message, [{ sender: ann, receiver: bob, letters: 5, team }, { receiver: ann }]);
    await expectRight(fixture, [PEOPLE]);
    await manager()
      .createQueryBuilder()
      .update(Message)
      .set({ sender: () => '"receiverId"', receiver: () => '"senderId"' })
      .execute();
    await expectRight(fixture, [PEOPLE, TEAMS]);
    expect(await manager().findOneByOrFail(Person, { id: bob.id })).toMatchObject({ sentCount: 1, receivedCount: 0 });
  });

  test('a target that is a source as well goes, in both roles', async () => {
    const [sent, received] = await manager().save(
      manager().create(Message, [
        { sender: ann, receiver: bob, team },
        { sender: bob, receiver: ann },
      ]),
    );
    if (sent === undefined || received === undefined) throw new Error('no messages');
    await manager().insert(Like, [{ message: sent }, { message: received }]);
    await manager().insert(Pin, { message: sent });
    await manager().insert(Recall, { by: ann });
    await expectRight(fixture, [PEOPLE, TEAMS, MESSAGES]);
    await manager().delete(Person, { id: ann.id });
    expect(await manager().find(Message, { relations: { sender: true } })).toMatchObject([
      { id: sent.id, sender: null },
    ]);
    await expectRight(fixture, [PEOPLE, TEAMS, MESSAGES]);
    await manager().delete(Team, { id: team.id });
    await manager().save(manager().create(Team));
    await expectRight(fixture, [PEOPLE, TEAMS, MESSAGES]);
    await expectMended(fixture, [PEOPLE, MESSAGES]);
  });

  test('one-to-one', async () => {
    const [one, two] = await manager().save(manager().create(Message, [{ sender: ann }, { sender: bob }]));
    if (one === undefined || two === undefined) throw new Error('no messages');
    const pin = await manager().save(manager().create(Pin, { message: one }));
    await manager().insert(Like, { message: one });
    await expectRight(fixture, [MESSAGES]);
    await manager().save(Object.assign(pin, { message: two }));
    await manager().update(Like, { message: { id: one.id } }, { message: two });
    await expectRight(fixture, [MESSAGES]);
    await manager().softRemove(two);
    await manager().insert(Like, { message: two });
    await expectRight(fixture, [MESSAGES, PEOPLE]);
    await manager().remove(pin);
    await expectRight(fixture, [MESSAGES]);
  });
});
