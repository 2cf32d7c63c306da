import {
  Column,
  DeleteDateColumn,
  Entity,
  type EntityManager,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { expectAgreement } from './agreement';

const ROUNDS = 40;

@Entity()
class Team {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) playersCount!: number;
  @Column({ default: 0 }) goals!: number;
}

@Entity()
@CounterCache<Player, Team>({ relation: 'team', column: 'playersCount' })
@CounterCache<Player, Team>({ relation: 'team', column: 'goals', incrementBy: 'goals' })
class Player {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ unique: true, nullable: true }) pass!: string;
  @Column({ default: 1 }) goals!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Team, { nullable: true }) team!: Relation<Team> | null;
}

const TRUTH = `SELECT t.id, ARRAY["playersCount", t.goals]::text[] AS got, ARRAY[count(p.id), COALESCE(sum(p.goals), 0)]::text[] AS right
  FROM team t LEFT JOIN player p ON p."teamId" = t.id AND p."deletedAt" IS NULL GROUP BY t.id ORDER BY t.id`;

let fixture: Fixture;
let teams: [Team, Team, Team];

describe.each(['18', '17.0'])('two clients at once, PostgreSQL %s', (version) => {
  beforeAll(async () => {
    fixture = await setup({ entities: [Team, Player] });
    if (version === '17.0') (fixture.dataSource.driver as { version?: string }).version = version;
    const { manager } = fixture.dataSource;
    teams = (await manager.save([1, 2, 3].map(() => manager.create(Team, {})))) as [Team, Team, Team];
  });
  afterAll(() => fixture.close());

  const newPlayer = (): Promise<Player> => {
    const { manager } = fixture.dataSource;
    return manager.save(manager.create(Player, { team: teams[0] }));
  };
  const loaded = (id: number): Promise<[Player, Player]> => {
    const find = (): Promise<Player> => fixture.dataSource.manager.findOneByOrFail(Player, { id });
    return Promise.all([find(), find()]);
  };
  /** Both at once, each in a transaction of its own. */
  const both = (first: (manager: EntityManager) => Promise<unknown>, second: typeof first): Promise<unknown> =>
    Promise.all([fixture.dataSource.transaction(first), fixture.dataSource.transaction(second)]);

  test('both remove the same row: one decrement', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const [one, two] = await loaded((await newPlayer()).id);
      await both(
        (manager) => manager.remove(one),
        (manager) => manager.remove(two),
      );
    }
    await expectAgreement(fixture, TRUTH);
    expect(fixture.errors).toEqual([]);
  });

  test('both move the same row', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const [one, two] = await loaded((await newPlayer()).id);
      Object.assign(one, { team: teams[1] });
      Object.assign(two, { team: teams[2], goals: 5 });
      await both(
        (manager) => manager.save(one),
        (manager) => manager.save(two),
      );
    }
    await expectAgreement(fixture, TRUTH);
    expect(fixture.errors).toEqual([]);
  });

  test('one moves, the other soft-removes', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const [one, two] = await loaded((await newPlayer()).id);
      one.team = teams[1];
      await both(
        (manager) => manager.save(one),
        (manager) => manager.softRemove(two),
      );
    }
    await expectAgreement(fixture, TRUTH);
    expect(fixture.errors).toEqual([]);
  });

  test('both upsert the same new key', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const pass = `pass ${round}`;
      const upsert = (team: Team, goals: number) => (manager: EntityManager) =>
        manager.upsert(
          Player,
          [
            { pass, team, goals },
            { pass: `${pass}/${goals}`, team },
          ],
          ['pass'],
        );
      await both(upsert(teams[0], 2), upsert(teams[1], 3));
      expect(await fixture.dataSource.manager.countBy(Player, { pass })).toBe(1);
    }
    await expectAgreement(fixture, TRUTH);
    expect(fixture.errors).toEqual([]);
  });

  test('upserts of the same rows, updates by criteria and deletes', async () => {
    const { manager } = fixture.dataSource;
    const client = async (seed: number): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) {
        const pass = `shared ${(round * 7 + seed) % 5}`;
        const team = teams[(round + seed) % 3] ?? null;
        if (round % 4 === 3) await manager.delete(Player, { pass });
        else if (round % 4 === 2) await manager.update(Player, { pass }, { team, goals: () => 'goals + 1' });
        else await manager.upsert(Player, { pass, team, goals: seed }, ['pass']);
      }
    };
    await Promise.all([1, 2, 3, 4, 5, 6].map(client));
    await expectAgreement(fixture, TRUTH);
    expect(fixture.errors).toEqual([]);
  });
});
