import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { Note } from './note';

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

beforeEach(async () => {
  fixture = await setup({ entities: [Writer, Post, Note] });
});
afterEach(async () => {
  await fixture.close();
});

async function seed(): Promise<void> {
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
}

async function expectExact(): Promise<void> {
  await fixture.counters.flush();
  expect(await fixture.dataSource.query(WRONG)).toEqual([]);
}

describe('TRUNCATE', () => {
  test('of a counted table is reported once, with what to do', async () => {
    await seed();
    const { manager } = fixture.dataSource;
    await manager.clear(Note);
    expect(fixture.errors).toEqual([]);
    await manager.clear(Post);
    await manager.query('TRUNCATE note, ONLY "post" RESTART IDENTITY CASCADE');
    expect(fixture.errors).toEqual([
      expect.objectContaining({
        code: 'UNSEEN_WRITE',
        message: expect.stringMatching(/^Post was emptied by TRUNCATE .* Run counters.recalculate\(\)/) as unknown,
      }),
    ]);
    expect(await fixture.counters.recalculate()).toMatchObject({ fixedCount: 4 });
    await expectExact();
  });

  test('of a target, or of what is skipped, is not reported', async () => {
    await seed();
    const { manager } = fixture.dataSource;
    await fixture.counters.skip(() => manager.clear(Post));
    await manager.query('TRUNCATE writer CASCADE');
    expect(fixture.errors).toEqual([]);
  });
});
