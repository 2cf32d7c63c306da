import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectMended, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity()
class Tenant {
  @PrimaryColumn({ length: 20 }) code!: string;
  @Column({ default: 0 }) coursesCount!: number;
}

/** Its key contains a foreign key, and its own columns sort otherwise than they are declared. */
@Entity()
@CounterCache<Course, Tenant>({ relation: 'tenant', column: 'coursesCount' })
class Course {
  @PrimaryColumn() tenantCode!: string;
  @PrimaryColumn({ name: 'a_number' }) number!: number;
  @ManyToOne(() => Tenant) @JoinColumn({ name: 'tenantCode' }) tenant!: Relation<Tenant>;
  @Column({ default: 0 }) seatsSum!: number;
  @Column({ default: 0 }) lessonsCount!: number;
}

/** A key made of foreign keys only: moving a row changes its primary key. */
@Entity()
@CounterCache<Enrolment, Course>({ relation: 'course', column: 'seatsSum', incrementBy: 'seats' })
class Enrolment {
  @PrimaryColumn() tenantCode!: string;
  @PrimaryColumn() courseNumber!: number;
  @PrimaryColumn() student!: number;
  @Column({ default: 1 }) seats!: number;
  @ManyToOne(() => Course, { onDelete: 'CASCADE' })
  @JoinColumn([
    { name: 'courseNumber', referencedColumnName: 'number' },
    { name: 'tenantCode', referencedColumnName: 'tenantCode' },
  ])
  course!: Relation<Course>;
}

/** One column of two foreign keys. */
@Entity()
@CounterCache<Lesson, Course>({ relation: 'course', column: 'lessonsCount' })
class Lesson {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'varchar', nullable: true }) tenantCode!: string | null;
  @Column({ type: 'int', nullable: true }) courseNumber!: number | null;
  @ManyToOne(() => Tenant) @JoinColumn({ name: 'tenantCode' }) tenant!: Relation<Tenant> | null;
  @ManyToOne(() => Course)
  @JoinColumn([
    { name: 'tenantCode', referencedColumnName: 'tenantCode' },
    { name: 'courseNumber', referencedColumnName: 'number' },
  ])
  course!: Relation<Course> | null;
}

const COURSES: Truth = {
  table: 'course',
  columns: {
    '"seatsSum"': `(SELECT COALESCE(sum(e.seats), 0) FROM enrolment e WHERE e."tenantCode" = t."tenantCode" AND e."courseNumber" = t.a_number)`,
    '"lessonsCount"': `(SELECT count(*) FROM lesson l WHERE l."tenantCode" = t."tenantCode" AND l."courseNumber" = t.a_number)`,
  },
};
const TENANTS: Truth = {
  table: 'tenant',
  columns: { '"coursesCount"': '(SELECT count(*) FROM course c WHERE c."tenantCode" = t.code)' },
};
const TRUTHS = [COURSES, TENANTS];

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Tenant, Course, Enrolment, Lesson] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('keys of several columns, PostgreSQL %s', (version) => {
  const right = (): Promise<void> => expectRight(fixture, TRUTHS);
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Enrolment, Lesson, Course, Tenant]);
    await manager().save(Tenant, [{ code: 'a' }, { code: 'a,1' }]);
    await manager().save(
      Course,
      ['a', 'a,1'].flatMap((tenantCode) => [1, 2, 11].map((number) => ({ tenantCode, number }))),
    );
  });
  afterEach(async () => {
    await right();
    await expectAgreed(fixture);
  });

  const enrol = (tenantCode: string, courseNumber: number, students: readonly number[]) =>
    students.map((student) => ({ tenantCode, courseNumber, student, seats: student }));

  test('two join columns, whichever way round they are declared', async () => {
    await expectEveryWrite<Course>(fixture, {
      source: Lesson,
      targets: [
        manager().create(Course, { tenantCode: 'a', number: 11 }),
        manager().create(Course, { tenantCode: 'a,1', number: 1 }),
      ],
      values: (course) => ({ tenantCode: course?.tenantCode ?? null, courseNumber: course?.number ?? null }),
      truths: TRUTHS,
    });
  });

  test('half a foreign key refers to nothing', async () => {
    const [lesson] = await manager().save(Lesson, [
      { tenantCode: 'a', courseNumber: 1 },
      { tenantCode: 'a', courseNumber: null },
      { tenantCode: null, courseNumber: 1 },
    ]);
    await right();
    await manager().update(Lesson, { id: lesson?.id ?? 0 }, { courseNumber: null });
    await manager().update(Lesson, { courseNumber: 1 }, { tenantCode: 'a,1' });
    expect(await manager().countBy(Lesson, { tenantCode: 'a,1', courseNumber: 1 })).toBe(1);
  });

  test('a source whose key is its foreign key: one row moves by update', async () => {
    await manager().save(Enrolment, enrol('a', 1, [1, 2, 3]));
    await manager().update(Enrolment, { tenantCode: 'a', courseNumber: 1, student: 2 }, { courseNumber: 2, seats: 20 });
    await right();
    const [enrolment] = await manager().findBy(Enrolment, { student: 3 });
    await manager().save(Object.assign(enrolment ?? {}, { seats: 30 }));
    await right();
    await manager().remove(await manager().findBy(Enrolment, { student: 2 }));
    await manager().delete(Enrolment, { tenantCode: 'a', student: 1 });
    await right();
    await expectMended(fixture, TRUTHS);
  });

  test('a source whose key is its foreign key: several rows move by one update', async () => {
    await manager().insert(Enrolment, [...enrol('a', 1, [1, 2, 3]), ...enrol('a', 2, [4]), ...enrol('a,1', 1, [5])]);
    await right();
    await manager().update(Enrolment, { tenantCode: 'a', courseNumber: 1 }, { courseNumber: 11 });
    expect(await manager().countBy(Enrolment, { courseNumber: 11 })).toBe(3);
    await right();
  });

  test('a source whose key is its foreign key: keys that take the place of one another', async () => {
    await manager().insert(Enrolment, enrol('a', 1, [1, 2, 3]));
    await manager()
      .createQueryBuilder()
      .update(Enrolment)
      .set({ student: () => 'student + 3', seats: () => 'seats + 10' })
      .execute();
    await right();
    await manager()
      .createQueryBuilder()
      .update(Enrolment)
      .set({ student: () => 'student - 1', courseNumber: () => 'CASE WHEN student = 4 THEN 1 ELSE 2 END' })
      .execute();
    expect(await manager().countBy(Enrolment, { courseNumber: 2 })).toBe(2);
  });

  test('upserts by the key', async () => {
    await manager().upsert(Enrolment, enrol('a', 1, [1, 2]), ['tenantCode', 'courseNumber', 'student']);
    await manager().upsert(
      Enrolment,
      [...enrol('a', 1, [2, 3]), ...enrol('a', 2, [1])].map((row) => ({ ...row, seats: 9 })),
      ['tenantCode', 'courseNumber', 'student'],
    );
    expect(await manager().countBy(Enrolment, { seats: 9 })).toBe(3);
  });

  test('a target that goes takes along what refers to its whole key, and comes again', async () => {
    await manager().insert(Enrolment, [...enrol('a', 1, [1, 2]), ...enrol('a', 11, [1]), ...enrol('a,1', 1, [1])]);
    await manager().delete(Course, { tenantCode: 'a', number: 1 });
    expect(await manager().count(Enrolment)).toBe(2);
    await right();
    await manager().save(Course, { tenantCode: 'a', number: 1 });
    await manager().insert(Enrolment, enrol('a', 1, [7]));
  });
});
