import {
  Column,
  type DataSource,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

abstract class Counted {
  @PrimaryGeneratedColumn() id!: number;
  @Column() name!: string;
  @Column({ default: 0 }) playersCount!: number;
  @Column({ default: 0 }) activeCount!: number;
  @Column({ default: 0 }) goals!: number;
}

/** Its counters are `buffered`. */
@Entity()
export class Team extends Counted {}

/** Its counters are `outbox`. */
@Entity()
export class Club extends Counted {}

const OUTBOX = { mode: 'outbox' } as const;

/** One row counts for a target of either mode, so that one transaction hands over both ways. */
@Entity()
@CounterCache<Player, Team>({ relation: 'team', column: 'playersCount' })
@CounterCache<Player, Team>({ relation: 'team', column: 'activeCount', where: { active: true } })
@CounterCache<Player, Team>({ relation: 'team', column: 'goals', incrementBy: 'goals' })
@CounterCache<Player, Club>({ relation: 'club', column: 'playersCount', ...OUTBOX })
@CounterCache<Player, Club>({ relation: 'club', column: 'activeCount', where: { active: true }, ...OUTBOX })
@CounterCache<Player, Club>({ relation: 'club', column: 'goals', incrementBy: 'goals', ...OUTBOX })
export class Player {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'text', unique: true, nullable: true }) pass!: string | null;
  @Column({ default: 0 }) goals!: number;
  @Column({ default: true }) active!: boolean;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column({ type: 'integer', nullable: true }) teamId!: number | null;
  @ManyToOne(() => Team, { nullable: true }) @JoinColumn({ name: 'teamId' }) team!: Relation<Team> | null;
  @Column({ type: 'integer', nullable: true }) clubId!: number | null;
  @ManyToOne(() => Club, { nullable: true }) @JoinColumn({ name: 'clubId' }) club!: Relation<Club> | null;
}

export const LEAGUE = [Team, Club, Player];

/** Targets with a column that is not what SQL counts, with what it counts. */
export async function wrongTargets(dataSource: DataSource): Promise<unknown[]> {
  const wrong = (table: string): string => `
    SELECT '${table}' AS kind, t.*, count(p.id)::int AS players, count(p.id) FILTER (WHERE p.active)::int AS actives,
      COALESCE(sum(p.goals), 0)::int AS scored
    FROM ${table} t LEFT JOIN player p ON p."${table}Id" = t.id AND p."deletedAt" IS NULL GROUP BY t.id
    HAVING (t."playersCount", t."activeCount", t.goals) IS DISTINCT FROM
      (count(p.id), count(p.id) FILTER (WHERE p.active), COALESCE(sum(p.goals), 0))`;
  return dataSource.query(`${wrong('team')} UNION ALL ${wrong('club')} ORDER BY kind, id`);
}
