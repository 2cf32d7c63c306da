import {
  Column,
  Entity,
  JoinColumn,
  ManyToOne,
  MoreThan,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { answerAs, clear, expectRight, setupShape, type Truth, VERSIONS } from './truth';
import { expectWorkerRight } from './worker';

@Entity()
class Book {
  @PrimaryColumn({ type: 'text' }) isbn!: string;
}

/** A target whose key the database changes when the book's changes. */
@Entity()
class Chapter {
  @PrimaryColumn({ type: 'text' }) bookIsbn!: string;
  @PrimaryColumn() number!: number;
  @ManyToOne(() => Book, { onUpdate: 'CASCADE' }) @JoinColumn({ name: 'bookIsbn' }) book!: Relation<Book>;
  @Column({ default: 0 }) remarksCount!: number;
}

@Entity()
class Reader {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) remarksCount!: number;
  @Column({ default: 0 }) favouritesCount!: number;
}

/** A source that counts for its reader by a condition on a column that the database may change. */
@Entity()
@CounterCache<Remark, Chapter>({ relation: 'chapter', column: 'remarksCount', recalculation: false })
@CounterCache<Remark, Reader>({ relation: 'reader', column: 'remarksCount', recalculation: false })
@CounterCache<Remark, Reader>({
  relation: 'reader',
  column: 'favouritesCount',
  where: { bookIsbn: 'favourite' },
  recalculation: false,
})
class Remark {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'text' }) bookIsbn!: string;
  @Column() chapterNumber!: number;
  @ManyToOne(() => Chapter, { onUpdate: 'CASCADE' })
  @JoinColumn([
    { name: 'bookIsbn', referencedColumnName: 'bookIsbn' },
    { name: 'chapterNumber', referencedColumnName: 'number' },
  ])
  chapter!: Relation<Chapter>;
  @Column() readerId!: number;
  @ManyToOne(() => Reader) @JoinColumn({ name: 'readerId' }) reader!: Relation<Reader>;
}

@Entity()
class Session {
  @PrimaryGeneratedColumn() id!: number;
  /** Referenced though it is not the primary key; it has more digits than a Date. */
  @Column({ type: 'timestamptz', unique: true }) startsAt!: Date;
}

@Entity()
class Room {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) lateCount!: number;
}

/** A source that counts by a timestamp which the database may change. */
@Entity()
@CounterCache<Seat, Room>({
  relation: 'room',
  column: 'lateCount',
  where: { startsAt: MoreThan(new Date('2026-06-01T00:00:00Z')) },
  recalculation: false,
})
class Seat {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'timestamptz' }) startsAt!: Date;
  @ManyToOne(() => Session, { onUpdate: 'CASCADE' })
  @JoinColumn({ name: 'startsAt', referencedColumnName: 'startsAt' })
  session!: Relation<Session>;
  @ManyToOne(() => Room) room!: Relation<Room>;
}

const ROOMS: Truth = {
  table: 'room',
  columns: {
    '"lateCount"': `(SELECT count(*) FROM seat s WHERE s."roomId" = t.id AND s."startsAt" > '2026-06-01 00:00:00+00')`,
  },
};

const CHAPTERS: Truth = {
  table: 'chapter',
  columns: {
    '"remarksCount"':
      '(SELECT count(*) FROM remark r WHERE r."bookIsbn" = t."bookIsbn" AND r."chapterNumber" = t.number)',
  },
};
const READERS: Truth = {
  table: 'reader',
  columns: {
    '"remarksCount"': '(SELECT count(*) FROM remark r WHERE r."readerId" = t.id)',
    '"favouritesCount"': `(SELECT count(*) FROM remark r WHERE r."readerId" = t.id AND r."bookIsbn" = 'favourite')`,
  },
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Book, Chapter, Reader, Remark, Session, Room, Seat] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('keys that the database changes itself (ON UPDATE CASCADE), PostgreSQL %s', (version) => {
  let reader: Reader;
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Remark, Chapter, Book, Reader, Seat, Session, Room]);
    reader = await manager().save(manager().create(Reader));
    await manager().insert(Book, [{ isbn: 'one' }, { isbn: 'two' }]);
    await manager().insert(
      Chapter,
      ['one', 'two'].flatMap((bookIsbn) => [1, 2].map((number) => ({ bookIsbn, number }))),
    );
    await expectWorkerRight(fixture);
  });

  const remarks = (bookIsbn: string, count: number) =>
    Array.from({ length: count }, (_, i) => ({ bookIsbn, chapterNumber: 1 + (i % 2), readerId: reader.id }));

  test('nothing pending', async () => {
    await manager().insert(Remark, [...remarks('one', 3), ...remarks('two', 2)]);
    await fixture.counters.flush();
    await manager().update(Book, { isbn: 'one' }, { isbn: 'three' });
    await manager().insert(Remark, remarks('three', 2));
    await expectWorkerRight(fixture);
    await expectRight(fixture, [CHAPTERS, READERS]);
  });

  test('what is pending for a target reaches it under its new key', async () => {
    await manager().insert(Remark, [...remarks('one', 3), ...remarks('two', 2)]);
    await fixture.counters.settled();
    await manager().update(Book, { isbn: 'one' }, { isbn: 'three' });
    await manager().insert(Remark, remarks('three', 2));
    await expectWorkerRight(fixture);
    await expectRight(fixture, [CHAPTERS]);
  });

  test('what is pending for a target does not reach another that has its key now', async () => {
    await manager().insert(Remark, remarks('one', 3));
    await fixture.counters.settled();
    await manager().update(Book, { isbn: 'one' }, { isbn: 'three' });
    await manager().update(Book, { isbn: 'two' }, { isbn: 'one' });
    await expectWorkerRight(fixture);
    await expectRight(fixture, [CHAPTERS]);
  });

  test('a condition that looks at the changed key', async () => {
    await manager().insert(Remark, [...remarks('one', 3), ...remarks('two', 2)]);
    await fixture.counters.flush();
    await manager().update(Book, { isbn: 'one' }, { isbn: 'favourite' });
    await expectWorkerRight(fixture);
    await expectRight(fixture, [READERS]);
  });

  test('changed timestamps that differ by a microsecond only', async () => {
    const room = await manager().save(manager().create(Room));
    const insert = (entity: typeof Session | typeof Seat, microseconds: readonly number[], rest: object) =>
      manager()
        .createQueryBuilder()
        .insert()
        .into(entity)
        .values(
          microseconds.map((digit) => ({ ...rest, startsAt: () => `'2026-01-01 10:00:00.00000${digit}+00'` })) as never,
        )
        .execute();
    await insert(Session, [1, 2], {});
    await insert(Seat, [1, 1, 2], { room });
    await expectRight(fixture, [ROOMS]);
    const [first] = await manager().find(Session, { order: { id: 'ASC' } });
    await manager().update(Session, { id: first?.id }, { startsAt: () => `"startsAt" + interval '1 year'` });
    await expectRight(fixture, [ROOMS]);
    await manager().updateAll(Session, { startsAt: () => `"startsAt" - interval '6 months'` });
    await expectRight(fixture, [ROOMS]);
    expect(await manager().findBy(Room, {})).toEqual([{ id: room.id, lateCount: 2 }]);
  });
});
