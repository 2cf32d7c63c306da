import {
  Column,
  DeleteDateColumn,
  Entity,
  IsNull,
  JoinColumn,
  ManyToOne,
  Not,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Choices, none, type Table, type Values } from '../tables';
import type { World } from '../world';
import type { Setting } from './setting';

/** What candidates refer to, and by what others refer to candidates. */
@Entity()
class Profile {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) candidatesCount!: number;
  @Column({ default: 0 }) applicationsCount!: number;
}

/** Sources refer to it by a unique column that may become NULL, be given away, and be taken by another. */
@Entity()
@CounterCache<Candidate, Profile>({ relation: 'profile', column: 'candidatesCount' })
class Candidate {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) score!: number;
  @Column({ type: 'integer', nullable: true, unique: true }) profileId!: number | null;
  @ManyToOne(() => Profile, { nullable: true, onDelete: 'SET NULL' })
  @JoinColumn({ name: 'profileId' })
  profile!: Relation<Profile> | null;
  @Column({ default: 0 }) applicationsCount!: number;
  @Column({ default: 0 }) amountSum!: number;
  @Column({ default: 0 }) lettersCount!: number;
}

/** No foreign key: it may wait for its candidate, or outlive it. */
@Entity()
@CounterCache<Application, Candidate>({ relation: 'candidate', column: 'applicationsCount' })
@CounterCache<Application, Candidate>({ relation: 'candidate', column: 'amountSum', incrementBy: 'amount' })
@CounterCache<Application, Profile>({ relation: 'candidate.profile', column: 'applicationsCount' })
class Application {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) amount!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column({ type: 'integer', nullable: true }) profileId!: number | null;
  @ManyToOne(() => Candidate, { nullable: true, createForeignKeyConstraints: false })
  @JoinColumn({ name: 'profileId', referencedColumnName: 'profileId' })
  candidate!: Relation<Candidate> | null;
}

/** A foreign key to a column that is not the primary one: it follows when the column changes, and becomes NULL with it. */
@Entity()
@CounterCache<Letter, Candidate>({ relation: 'candidate', column: 'lettersCount' })
class Letter {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) amount!: number;
  @Column({ type: 'integer', nullable: true }) profileId!: number | null;
  @ManyToOne(() => Candidate, { nullable: true, onUpdate: 'CASCADE', onDelete: 'SET NULL' })
  @JoinColumn({ name: 'profileId', referencedColumnName: 'profileId' })
  candidate!: Relation<Candidate> | null;
}

const name = (random: { below(count: number): number }): unknown => `n${random.below(100)}`;

const profiles: Table = { ...none, name: 'profile', entity: Profile, columns: { name } };
const candidates: Table = {
  ...none,
  name: 'candidate',
  entity: Candidate,
  amount: 'score',
  parents: [{ relation: 'profile', column: 'profileId', key: 'profileId', inverse: null, table: profiles }],
};

/** The key of a candidate, NULL, or (where there is no foreign key) that of a profile which is nobody's. */
async function keyOfCandidate(choices: Choices, mayDangle: boolean): Promise<Values> {
  if (choices.random.chance(0.2)) return { profileId: null };
  if (mayDangle && choices.random.chance(0.3)) return { profileId: await choices.maybe(profiles) };
  const [profileId = null] = await choices.parents(candidates, { key: 'profileId' }, 1);
  return { profileId };
}

const applications: Table = {
  ...none,
  name: 'application',
  entity: Application,
  amount: 'amount',
  isSoft: true,
  links: { columns: ['profileId'], choose: (choices) => keyOfCandidate(choices, true) },
};
const letters: Table = {
  ...none,
  name: 'letter',
  entity: Letter,
  amount: 'amount',
  links: { columns: ['profileId'], choose: (choices) => keyOfCandidate(choices, false) },
};

/** Candidates that are referred to, with what they refer to. */
const referredTo = async (world: World, count: number) =>
  world.load(candidates, await world.some(candidates, count, '"profileId" IS NOT NULL'), { profile: true });

const WRITES = {
  'NULL key: save a relation set to null': async (world: World) => {
    const rows = await referredTo(world, 2);
    for (const row of rows) row['profile'] = null;
    await world.manager.save(rows);
  },
  'NULL key: save a key set to null': async (world: World) => {
    const [row] = await referredTo(world, 1);
    if (row !== undefined) await world.manager.save(Candidate, { id: row.id, profileId: null });
  },
  'NULL key: update to NULL': async (world: World) => {
    const ids = await world.some(candidates, 2, '"profileId" IS NOT NULL');
    await world.manager.update(Candidate, ids.length > 0 ? ids : [-1], { profile: null });
  },
  'NULL key: query builder, update to NULL': async (world: World) => {
    const builder = world.manager.createQueryBuilder().update(Candidate).set({ profileId: null });
    await builder.where('id % 3 = :rest', { rest: world.random.below(3) }).execute();
  },
  'NULL key: given to a row that had none': async (world: World) => {
    const [id] = await world.some(candidates, 1, '"profileId" IS NULL');
    const [key] = await world.some(
      profiles,
      1,
      'id NOT IN (SELECT "profileId" FROM candidate WHERE "profileId" IS NOT NULL)',
    );
    await world.manager.update(Candidate, { id: id ?? -1 }, { profileId: key ?? null });
  },
  'NULL key: passed on within one transaction': async (world: World) => {
    const [from] = await referredTo(world, 1);
    const [to] = await world.some(candidates, 1, '"profileId" IS NULL');
    if (from === undefined || to === undefined) return;
    await world.manager.transaction(async (manager) => {
      await manager.update(Candidate, { id: from.id }, { profileId: null });
      await manager.update(Candidate, { id: to }, { profileId: from['profileId'] as number });
    });
  },
  'NULL key: a profile is deleted': async (world: World) => {
    const doomed = await world.some(profiles, 1);
    await world.manager.delete(Profile, doomed.length > 0 ? doomed : [-1]);
    await world.manager.insert(Profile, { name: 'instead' });
  },
  'NULL key: sources set to NULL': async (world: World) => {
    await world.manager.update(Application, { amount: world.amount() }, { candidate: null });
    await world.manager.update(Letter, { profileId: Not(IsNull()), amount: world.amount() }, { profileId: null });
  },
  'NULL key: upsert by the key itself': async (world: World) => {
    const keys = await world.parents(candidates, { key: 'profileId' }, 2);
    const rows = keys.map((profileId) => ({ profileId, score: world.amount() }));
    await world.manager.upsert(Candidate, [...rows, { profileId: null, score: world.amount() }], ['profileId']);
  },
};

const APPLIED = 'FROM application s WHERE s."profileId" = t."profileId" AND s."deletedAt" IS NULL';

/** Keys that become NULL: of targets, of what sources refer to, and of what the database sets. */
export const NULL_KEYS: Setting = {
  name: 'null-keys',
  entities: [Profile, Candidate, Application, Letter],
  sources: [candidates, candidates, candidates, applications, applications, applications, letters, letters],
  firstRows: [
    [profiles, 12],
    [candidates, 5],
    [applications, 10],
    [letters, 6],
  ],
  keys: { candidate: 't."profileId"' },
  truths: {
    profile: {
      candidatesCount: 'count(*) FROM candidate s WHERE s."profileId" = t.id',
      applicationsCount: `count(*) FROM application s JOIN candidate b ON b."profileId" = s."profileId" WHERE b."profileId" = t.id AND s."deletedAt" IS NULL`,
    },
    candidate: {
      applicationsCount: `count(*) ${APPLIED}`,
      amountSum: `sum(s.amount) ${APPLIED}`,
      lettersCount: 'count(*) FROM letter s WHERE s."profileId" = t."profileId"',
    },
  },
  open: async () => ({ writes: WRITES }),
};
