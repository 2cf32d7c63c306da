import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';

@Entity()
class Team {
  @PrimaryColumn() id!: number;
  @Column({ default: 0 }) total!: number;
  @Column({ default: 0 }) oldTotal!: number;
}

@Entity()
@CounterCache<Player, Team>({ relation: 'team', column: 'total', incrementBy: 'score' })
class Player {
  @PrimaryColumn() id!: number;
  @Column() score!: number;
  @Column() teamId!: number;
  @ManyToOne(() => Team) @JoinColumn({ name: 'teamId' }) team!: Relation<Team>;
}

/** PostgreSQL knows no version `old` beside it. */
@Entity('old')
@CounterCache<Old, Team>({ relation: 'team', column: 'oldTotal', incrementBy: 'score' })
class Old {
  @PrimaryColumn() id!: number;
  @Column() score!: number;
  @Column() teamId!: number;
  @ManyToOne(() => Team) @JoinColumn({ name: 'teamId' }) team!: Relation<Team>;
}

/** Old rows in RETURNING are PostgreSQL 18's. */
describe('a RETURNING clause of the caller on a counted write', () => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await setup({ entities: [Team, Player, Old] });
  });
  afterAll(() => fixture.close());
  beforeEach(async () => {
    const { manager } = fixture.dataSource;
    await manager.createQueryBuilder().delete().from(Player).execute();
    await manager.createQueryBuilder().delete().from(Old).execute();
    await manager.upsert(Team, { id: 1 }, ['id']);
    await manager.insert(Player, { id: 1, score: 3, teamId: 1 });
    await manager.insert(Old, { id: 1, score: 3, teamId: 1 });
  });
  afterEach(async () => {
    await fixture.counters.flush();
    const [row] = await fixture.dataSource.query<Record<string, number>[]>(
      `SELECT total, "oldTotal", (SELECT COALESCE(sum(score), 0)::int FROM player) AS players,
         (SELECT COALESCE(sum(score), 0)::int FROM old) AS olds FROM team`,
    );
    expect(row).toMatchObject({ total: row?.['players'], oldTotal: row?.['olds'] });
  });

  const CLAUSES = [
    ['old.score AS was, new.score AS is', { was: 3, is: 5 }],
    ['old.score, new.score', { score: 5 }],
    ['score', { score: 5 }],
    ['"old"."score" AS "was", "new"."score" AS "is"', { was: 3, is: 5 }],
    ['OLD.score AS was, NEW.score AS is', { was: 3, is: 5 }],
    ['WITH (OLD AS before) before.score AS was, new.score AS is', { was: 3, is: 5 }],
    ['WITH (NEW AS "af,ter)") old.score AS was, "af,ter)".score AS is', { was: 3, is: 5 }],
    ['with ( old as o , new AS n ) o.score AS was, n.score AS is', { was: 3, is: 5 }],
    ['*', { id: 1, score: 5, teamId: 1 }],
    ['old.*', { id: 1, score: 3, teamId: 1 }],
  ] as const;

  test.each(CLAUSES)('an update: %s', async (clause, expected) => {
    const { raw } = (await fixture.dataSource
      .createQueryBuilder()
      .update(Player)
      .set({ score: 5 })
      .where({ id: 1 })
      .returning(clause)
      .execute()) as { raw: unknown };
    expect(raw).toEqual([expected]);
  });

  test.each(CLAUSES)('an upsert: %s', async (clause, expected) => {
    const { raw } = (await fixture.dataSource
      .createQueryBuilder()
      .insert()
      .into(Player)
      .values({ id: 1, score: 5, teamId: 1 })
      .orUpdate(['score'], ['id'])
      .returning(clause)
      .execute()) as { raw: unknown };
    expect(raw).toEqual([expected]);
  });

  test('a delete', async () => {
    const builder = fixture.dataSource.createQueryBuilder().delete().from(Player).where({ id: 1 });
    expect((await builder.returning('old.score AS was, new.score AS is').execute()).raw).toEqual([
      { was: 3, is: null },
    ]);
  });

  test('an insert', async () => {
    const values = { id: 2, score: 1, teamId: 1 };
    const builder = fixture.dataSource.createQueryBuilder().insert().into(Player).values(values);
    const returned = await builder.returning('WITH (OLD AS o) o.score AS was, new.score AS is').execute();
    expect(returned.raw).toEqual([{ was: null, is: 1 }]);
  });

  test.each(['old.score AS was', 'new.score AS was', 'WITH (OLD AS o) new.score AS was'])(
    'a table of the name of a version: %s',
    async (clause) => {
      const builder = fixture.dataSource.createQueryBuilder().update(Old).set({ score: 5 }).where({ id: 1 });
      expect((await builder.returning(clause).execute()).raw).toEqual([{ was: 5 }]);
    },
  );

  test('a clause that PostgreSQL refuses is refused by it', async () => {
    const builder = fixture.dataSource.createQueryBuilder().update(Player).set({ score: 5 });
    await expect(builder.returning('WITH (OLD AS) score').execute()).rejects.toThrow('syntax error');
  });
});
