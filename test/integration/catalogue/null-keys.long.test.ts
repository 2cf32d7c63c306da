import { Column, Entity, JoinColumn, ManyToOne, OneToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, type CountersOptions } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { expectAgreed } from '../shapes/truth';

@Entity()
class Profile {
  @PrimaryGeneratedColumn() id!: number;
  @OneToOne(() => Candidate, (candidate) => candidate.profile) candidate!: Relation<Candidate> | null;
}

/** Visits count by way of the profile: its key, for them, is a column that may be NULL. */
@Entity()
class Candidate {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'text', nullable: true, unique: true }) code!: string | null;
  @OneToOne(() => Profile, (profile) => profile.candidate, { nullable: true, onDelete: 'SET NULL' })
  @JoinColumn()
  profile!: Relation<Profile> | null;
  @Column({ default: 0 }) visitsCount!: number;
  @Column({ default: 0 }) mailsCount!: number;
}

@Entity()
@CounterCache<Visit, Candidate>({ relation: 'profile.candidate', column: 'visitsCount' })
class Visit {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Profile, { onDelete: 'CASCADE' }) profile!: Relation<Profile>;
}

@Entity()
@CounterCache<Mail, Candidate>({ relation: 'candidate', column: 'mailsCount' })
class Mail {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Candidate, { nullable: true, onDelete: 'SET NULL', onUpdate: 'SET NULL' })
  @JoinColumn({ name: 'code', referencedColumnName: 'code' })
  candidate!: Relation<Candidate> | null;
}

const ENTITIES = [Profile, Candidate, Visit, Mail];

describeVersions('a target whose key becomes NULL', (server) => {
  describe.each(['buffered', 'outbox'] as const)('%s', (mode: NonNullable<CountersOptions['mode']>) => {
    let fixture: Fixture;
    let candidate: Candidate;
    let profile: Profile;
    const counts = async (): Promise<(number | undefined)[]> => {
      const found = await fixture.dataSource.manager.findOneBy(Candidate, { id: candidate.id });
      return [found?.visitsCount, found?.mailsCount];
    };
    const expectCounts = async (...expected: number[]): Promise<void> => {
      await until(async () => (await counts()).join() === expected.join()).catch(() => undefined);
      expect(await counts()).toEqual(expected);
      await expectAgreed(fixture);
    };

    beforeAll(async () => {
      fixture = await setup({ entities: ENTITIES, counters: { mode }, worker: true, server: server() });
    });
    beforeEach(async () => {
      const { manager } = fixture.dataSource;
      profile = await manager.save(manager.create(Profile));
      candidate = await manager.save(manager.create(Candidate, { profile, code: `c${profile.id}` }));
      await manager.insert(Visit, [{ profile }, { profile }]);
      await manager.insert(Mail, { candidate });
      await expectCounts(2, 1);
    });
    afterAll(() => fixture.close());

    test('counts nothing any more, and again once it has a key', async () => {
      const { manager } = fixture.dataSource;
      candidate.profile = null;
      await manager.save(candidate);
      await expectCounts(0, 1);
      await manager.insert(Visit, { profile });
      candidate.profile = profile;
      await manager.save(candidate);
      await expectCounts(3, 1);
    });

    test('by each of its keys', async () => {
      const { manager } = fixture.dataSource;
      await manager.update(Candidate, { id: candidate.id }, { code: null });
      await expectCounts(2, 0);
      await manager.update(Candidate, { id: candidate.id }, { code: 'again' });
      await manager.insert(Mail, { candidate: { id: candidate.id, code: 'again' } });
      await expectCounts(2, 1);
    });

    test('because the database sets it', async () => {
      await fixture.dataSource.manager.delete(Profile, { id: profile.id });
      await expectCounts(0, 1);
    });

    test('of several rows in one statement', async () => {
      const { manager } = fixture.dataSource;
      await manager.createQueryBuilder().update(Candidate).set({ code: null, profile: null }).execute();
      await expectCounts(0, 0);
    });

    test('keeps its columns when that is rolled back', async () => {
      const { manager } = fixture.dataSource;
      const work = manager.transaction(async (inner) => {
        await inner.update(Candidate, { id: candidate.id }, { profile: null });
        throw new Error('no');
      });
      await expect(work).rejects.toThrow('no');
      await expectCounts(2, 1);
    });

    test('behind the back is found by verify() and mended by recalculate()', async () => {
      const { counters, dataSource } = fixture;
      await dataSource.query(`UPDATE candidate SET "profileId" = NULL WHERE id = ${candidate.id}`);
      const counter = 'Visit.profile.candidate>Candidate.visitsCount';
      const drift = {
        entity: 'Candidate',
        id: `NULL (id ${candidate.id})`,
        column: 'visitsCount',
        counters: [counter],
        wrong: '2',
        right: '0',
      };
      expect(await counters.verify()).toMatchObject({ fixedCount: 1, fixed: [drift] });
      expect(await counters.verify({ counter, where: { id: candidate.id } })).toMatchObject({ fixedCount: 1 });
      expect(await counters.verify({ counter, where: { id: -1 } })).toMatchObject({ fixedCount: 0 });
      expect(await counters.recalculate()).toMatchObject({ fixedCount: 1, unsettled: [] });
      expect(await counts()).toEqual([0, 1]);
      expect(await counters.verify()).toMatchObject({ fixedCount: 0 });
    });

    test('is waited for when its row is locked', async () => {
      const { dataSource } = fixture;
      const runner = dataSource.createQueryRunner();
      await runner.startTransaction();
      await dataSource.manager.update(Candidate, { id: candidate.id }, { profile: null });
      await runner.query(`SELECT 1 FROM candidate WHERE id = ${candidate.id} FOR UPDATE`);
      await fixture.counters.settled();
      await runner.commitTransaction();
      await runner.release();
      await expectCounts(0, 1);
    });
  });
});
