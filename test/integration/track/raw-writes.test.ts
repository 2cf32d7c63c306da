import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { untilIdle } from '../idle';
import { type Internals, openInternals } from '../internals';
import { Note } from '../note';

@Entity()
class Writer {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) postsCount!: number;
  @Column({ default: 0 }) likes!: number;
}

@Entity()
@CounterCache<Post, Writer>({ relation: 'writer', column: 'postsCount' })
@CounterCache<Post, Writer>({ relation: 'writer', column: 'likes', incrementBy: 'likes' })
class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 'draft' }) status!: string;
  @Column({ default: 1 }) likes!: number;
  @ManyToOne(() => Writer) writer!: Relation<Writer> | null;
}

const WRONG = `SELECT * FROM (SELECT w.id, ARRAY["postsCount", w.likes]::int[] AS got,
  ARRAY[count(p.id), COALESCE(sum(p.likes), 0)]::int[] AS right
  FROM writer w LEFT JOIN post p ON p."writerId" = w.id GROUP BY w.id) x WHERE got <> x.right`;

let fixture: Fixture;
let internals: Internals;

beforeEach(async () => {
  fixture = await setup({ entities: [Writer, Post, Note] });
  internals = await openInternals(fixture.dataSource);
});
afterEach(async () => {
  await internals.close();
  await fixture.close();
});

async function seed(): Promise<{ one: Writer; two: Writer }> {
  const { manager } = fixture.dataSource;
  const [one, two] = (await manager.save([manager.create(Writer), manager.create(Writer)])) as [Writer, Writer];
  await manager.insert(Post, [
    { writer: one },
    { writer: one, likes: 5 },
    { writer: two, status: 'live' },
    { writer: two },
    { writer: null },
  ]);
  await expectExact();
  return { one, two };
}

async function expectExact(): Promise<void> {
  await fixture.counters.flush();
  expect(await fixture.dataSource.query(WRONG)).toEqual([]);
}

describe('counters.track', () => {
  test('counts what raw SQL inserts, changes, moves and deletes', async () => {
    const { one, two } = await seed();
    const { manager } = fixture.dataSource;
    const track = (where: object, sql: string): Promise<unknown> =>
      fixture.counters.track(manager, Post, where, (own) => own.query(sql));
    await track(
      { status: 'new' },
      `INSERT INTO post (status, "writerId") VALUES ('new', ${one.id}), ('new', ${two.id})`,
    );
    await expectExact();
    await track({ writer: { id: one.id } }, `UPDATE post SET likes = likes + 2 WHERE "writerId" = ${one.id}`);
    await expectExact();
    await track({ status: 'draft' }, `UPDATE post SET "writerId" = ${two.id}, status = 'moved' WHERE status = 'draft'`);
    await expectExact();
    const deleted = await track(
      [{ status: 'moved' }, { status: 'new' }],
      `DELETE FROM post WHERE status IN ('moved', 'new')`,
    );
    await expectExact();
    expect(deleted).toEqual([[], 6]);
    expect(fixture.errors).toEqual([]);
  });

  test('asks for a recalculation of every target that matched before or after', async () => {
    const { one, two } = await seed();
    const recalculated: number[] = [];
    fixture.counters.on('recalculated', ({ checked }) => recalculated.push(checked));
    const worker = await fixture.counters.startWorker();
    await fixture.counters.track(fixture.dataSource.manager, Post, { writer: { id: one.id } }, async (manager) => {
      await manager.query(`UPDATE post SET "writerId" = ${two.id} WHERE "writerId" = ${one.id}`);
      // Somebody else's, which now matches as well, and is counted twice until then.
      await fixture.dataSource.manager.insert(Post, { writer: one });
    });
    await untilIdle(fixture, internals);
    await worker.close();
    // More when Redis was slow to answer, and the same is asked for again.
    expect(recalculated.reduce((sum, checked) => sum + checked, 0)).toBeGreaterThanOrEqual(2);
    await expectExact();
  });

  test('counts once what TypeORM writes inside, and nothing that is rolled back', async () => {
    const { one } = await seed();
    const { manager } = fixture.dataSource;
    await fixture.counters.track(manager, Post, { writer: { id: one.id } }, async (own) => {
      await own.insert(Post, { writer: one });
      await own.insert(Note, { text: 'beside' });
    });
    await expectExact();
    const work = manager.transaction(async (outer) => {
      await outer
        .transaction(async (inner) => {
          await fixture.counters.track(inner, Post, {}, (own) => own.query('DELETE FROM post'));
          throw new Error('inner');
        })
        .catch(() => undefined);
      await fixture.counters.track(outer, Post, { writer: { id: one.id } }, (own) =>
        own.query(`INSERT INTO post ("writerId") VALUES (${one.id})`),
      );
    });
    await work;
    await expectExact();
    const failing = fixture.counters.track(manager, Post, {}, async (own) => {
      await own.query('DELETE FROM post');
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    await expectExact();
  });

  test('refuses an entity that no counter is about', async () => {
    const work = fixture.counters.track(fixture.dataSource.manager, Note, {}, async () => undefined);
    await expect(work).rejects.toThrow('expected an entity that a counter counts or is kept on, got: Note');
  });
});
