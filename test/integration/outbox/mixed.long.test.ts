import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

import { Random } from '../../contract/buffer/random';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { expectAgreement } from '../agreement';
import { untilDrained, waitingRows } from './outbox';

@Entity()
class Team {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) playersCount!: number;
  @Column({ type: 'numeric', precision: 12, scale: 2, default: 0 }) salaries!: NumericText;
  @Column({ default: 0 }) goals!: number;
  @Column({ type: 'timestamptz', nullable: true }) salariesAt!: Date | null;
}

@Entity()
@CounterCache<Player, Team>({ relation: 'team', column: 'playersCount' })
@CounterCache<Player, Team>({
  relation: 'team',
  column: 'salaries',
  incrementBy: 'salary',
  touch: 'salariesAt',
  mode: 'outbox',
})
@CounterCache<Player, Team>({ relation: 'team', column: 'goals', incrementBy: 'goals', mode: 'buffered' })
class Player {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'numeric', precision: 8, scale: 2, default: '1.50' }) salary!: NumericText;
  @Column({ default: 1 }) goals!: number;
  @ManyToOne(() => Team, { nullable: true }) team!: Relation<Team> | null;
}

const TRUTH = `SELECT t.id, ARRAY["playersCount", salaries, t.goals]::text[] AS got,
  ARRAY[count(p.id), COALESCE(sum(p.salary), 0.00), COALESCE(sum(p.goals), 0)]::text[] AS right
  FROM team t LEFT JOIN player p ON p."teamId" = t.id GROUP BY t.id ORDER BY t.id`;

function rethrowUnexpected(error: unknown): void {
  if (!(error instanceof Error) || error.message !== 'rolled back') throw error;
}

let fixture: Fixture;

beforeEach(async () => {
  fixture = await setup({ entities: [Team, Player], counters: { redisTimeout: 500 } });
});
afterEach(async () => {
  expect(fixture.errors).toEqual([]);
  await fixture.close();
});

describe('mode per counter', () => {
  test('each delta waits where its counter says; together they are right', async () => {
    const { manager } = fixture.dataSource;
    const team = await manager.save(manager.create(Team));
    await manager.insert(Player, [{ team }, { team, salary: '2.25', goals: 3 }]);
    expect(await waitingRows(fixture)).toBe(1);
    const entries = [];
    for await (const entry of fixture.counters.log({ target: Team, ids: [team.id] })) entries.push(entry);
    expect(entries).toEqual([
      {
        entity: 'Team',
        id: String(team.id),
        column: 'salaries',
        amount: '3.75',
        writtenAt: expect.any(Date) as Date,
        appliedAt: null,
        failed: null,
      },
    ]);
    await fixture.counters.settled();
    expect(await fixture.counters.read(Team, team.id, 'salaries')).toBe('3.75');
    expect(await fixture.counters.read(Team, team.id, 'goals')).toBe(4);
    await expectAgreement(fixture, TRUTH);
    expect((await manager.findOneByOrFail(Team, { id: team.id })).salariesAt).toBeInstanceOf(Date);
  });

  test('a rollback takes all of them along', async () => {
    const { manager } = fixture.dataSource;
    const team = await manager.save(manager.create(Team));
    const aborted = fixture.dataSource.transaction(async (inner) => {
      await inner.insert(Player, { team });
      throw new Error('abort');
    });
    await expect(aborted).rejects.toThrow('abort');
    await fixture.counters.settled();
    expect(await fixture.counters.status()).toMatchObject({ dirty: 0, intents: 0 });
    await expectAgreement(fixture, TRUTH);
  });

  test('8 clients on few rows, with a worker and recalculations beside them', async () => {
    const { manager } = fixture.dataSource;
    const teams = await manager.save([1, 2, 3].map(() => manager.create(Team)));
    const worker = await fixture.counters.startWorker();
    const client = async (seed: number): Promise<void> => {
      const random = new Random(seed);
      for (let i = 0; i < 40; i++) {
        const work = fixture.dataSource.transaction(async (own) => {
          const player = await own.save(Player, { team: random.pick(teams), goals: random.below(5), salary: '0.10' });
          if (random.chance(0.4)) await own.update(Player, { id: player.id }, { team: random.pick(teams) });
          if (random.chance(0.3)) await own.delete(Player, { id: player.id });
          if (random.chance(0.1)) throw new Error('rolled back');
        });
        await work.catch(rethrowUnexpected);
      }
    };
    const writing = Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(client));
    const counter = ['Player.team>Team.playersCount', 'Player.team>Team.salaries'];
    for (let i = 0; i < 5; i++)
      expect(await fixture.counters.recalculate({ counter })).toMatchObject({ checked: 3, fixedCount: 0 });
    await writing;
    await untilDrained(fixture);
    await worker.close();
    await expectAgreement(fixture, TRUTH);
  });

  test('what the outbox has applied is kept for outboxRetention', async () => {
    const kept = await setup({
      entities: [Team, Player],
      counters: { mode: 'outbox', outboxRetention: 600_000 },
    });
    const { manager } = kept.dataSource;
    const team = await manager.save(manager.create(Team));
    await manager.insert(Player, [{ team }, { team }]);
    await kept.counters.flush();
    await manager.insert(Player, { team });
    const entries = [];
    for await (const { column, amount, appliedAt } of kept.counters.log({ target: Team }))
      entries.push([column, amount, appliedAt !== null]);
    expect(entries).toEqual(
      expect.arrayContaining([
        ['salaries', '3.00', true],
        ['salaries', '1.50', false],
      ]),
    );
    expect(await waitingRows(kept)).toBe(2);
    await expectAgreement(kept, TRUTH);
    await kept.dataSource.query(`UPDATE counter_cache_outbox SET applied_at = applied_at - interval '1 hour'`);
    await kept.counters.startWorker();
    await until(async () => {
      const rows: unknown[] = await kept.dataSource.query('SELECT 1 FROM counter_cache_outbox');
      return rows.length === 0;
    });
    await kept.close();
  });
});
