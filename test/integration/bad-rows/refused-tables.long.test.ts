import { randomBytes } from 'node:crypto';

import type { DataSource } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import { redisUrl } from '../../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../../support/setup';
import { describeVersions } from '../../support/versions';
import { beforeUpdate, Book, Crate, crateCount, fill, GOOD, Shelf, wrongShelves } from './shelves';

interface Case {
  readonly name: string;
  readonly break: string;
  readonly mend: string;
  readonly reason: string;
}

/** What keeps every row of a table from being changed, while all other tables go on. */
const CASES: readonly Case[] = [
  {
    name: 'a renamed table',
    break: 'ALTER TABLE shelf RENAME TO rack',
    mend: 'ALTER TABLE rack RENAME TO shelf',
    reason: 'relation "public.shelf" does not exist',
  },
  {
    name: 'a missing column',
    break: 'ALTER TABLE shelf RENAME "booksCount" TO count',
    mend: 'ALTER TABLE shelf RENAME count TO "booksCount"',
    reason: 'column t.booksCount does not exist',
  },
  {
    name: 'a column that is generated now',
    break: 'ALTER TABLE shelf DROP "booksCount", ADD "booksCount" integer GENERATED ALWAYS AS (id * 0) STORED',
    mend: 'ALTER TABLE shelf DROP "booksCount", ADD "booksCount" integer NOT NULL DEFAULT 0',
    reason: 'column "booksCount" can only be updated to DEFAULT',
  },
  {
    name: 'a trigger of the whole statement',
    break: `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'frozen'; END $$;
      CREATE TRIGGER refuse BEFORE UPDATE ON shelf EXECUTE FUNCTION refuse()`,
    mend: 'DROP TRIGGER refuse ON shelf',
    reason: 'frozen',
  },
];

describeVersions('a table that takes no changes', (server) => {
  describe.each(['buffered', 'outbox'] as const)('%s', (mode) => {
    let fixture: Fixture;
    const options = { mode, shards: 2, wait: 600_000, window: 1_000, sweepInterval: 600_000 } as const;

    beforeEach(async () => {
      fixture = await setup({ entities: [Shelf, Crate, Book], server: server(), counters: options });
    });
    afterEach(async () => {
      expect(fixture.errors).toEqual([]);
      await fixture.close();
    });

    /** UPDATEs of target tables that a flush sends. */
    async function flush(counters = fixture.counters): Promise<number> {
      return (await counters.flush()).updates;
    }

    async function expectAllRightAfterRetry(): Promise<void> {
      expect(await fixture.counters.retryFailed()).toBe(GOOD + 1);
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([]);
      expect((await fixture.counters.status()).failed).toEqual([]);
    }

    test.each(CASES)('$name: its rows are parked by few statements, those of others are applied', async (kind) => {
      const { bad } = await fill(fixture);
      await fixture.dataSource.query(kind.break);
      // Per shard: one for each table, and not one for each row.
      expect(await flush()).toBeLessThanOrEqual(4);
      expect(await crateCount(fixture)).toBe(GOOD + 1);
      const { failed, dirty } = await fixture.counters.status();
      expect([failed.length, dirty]).toEqual([GOOD + 1, 0]);
      const row = { entity: 'Shelf', id: String(bad), reason: expect.stringContaining(kind.reason) as string };
      expect(failed).toContainEqual(row);
      await fixture.dataSource.query('UPDATE crate SET "booksCount" = 7');
      expect(await fixture.counters.recalculate({ target: Crate })).toMatchObject({ fixedCount: 1, failed: [] });
      expect(await crateCount(fixture)).toBe(GOOD + 1);
      const { failed: uncounted } = await fixture.counters.recalculate({ target: Shelf, ids: [bad] });
      expect(uncounted).toContainEqual(expect.objectContaining({ entity: 'Shelf', id: String(bad) }));
      await fixture.dataSource.query('UPDATE crate SET "booksCount" = 7');
      expect((await fixture.counters.recalculate()).failed.map(({ entity }) => entity)).toContain('Shelf');
      expect(await crateCount(fixture)).toBe(GOOD + 1);
      await fixture.dataSource.query(kind.mend);
      await expectAllRightAfterRetry();
    });

    /** Counters of a process that works as another role. */
    async function as(role: string): Promise<{ counters: Counters; dataSource: DataSource }> {
      const url = new URL(fixture.databaseUrl);
      url.searchParams.set('options', `-c role=${role}`);
      const dataSource = newDataSource(url.href, [Shelf, Crate, Book], { synchronize: false });
      const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, ...options });
      await dataSource.initialize();
      return { counters, dataSource };
    }

    async function withRole(work: (role: string) => Promise<void>): Promise<void> {
      const role = `worker_${randomBytes(6).toString('hex')}`;
      const { dataSource } = fixture;
      await dataSource.query(`CREATE ROLE ${role}; GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role};
        GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ${role}`);
      try {
        await work(role);
      } finally {
        await dataSource.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      }
    }

    test('a privilege that was revoked', async () => {
      await fill(fixture);
      await withRole(async (role) => {
        const other = await as(role);
        await fixture.dataSource.query(`REVOKE UPDATE ON shelf FROM ${role}`);
        expect(await flush(other.counters)).toBeLessThanOrEqual(4);
        await other.counters.close();
        await other.dataSource.destroy();
      });
      expect(await crateCount(fixture)).toBe(GOOD + 1);
      const { failed } = await fixture.counters.status();
      expect(failed).toHaveLength(GOOD + 1);
      expect(failed[0]?.reason).toContain('permission denied for table shelf');
      await expectAllRightAfterRetry();
    });

    test('a policy that hides a row from UPDATE: parked, and told from a row that is locked', async () => {
      const { bad, shelves } = await fill(fixture);
      const locked = shelves[3]?.id ?? 0;
      const { dataSource } = fixture;
      const holder = dataSource.createQueryRunner();
      await withRole(async (role) => {
        const other = await as(role);
        await dataSource.query(`ALTER TABLE shelf ENABLE ROW LEVEL SECURITY;
          CREATE POLICY seen ON shelf FOR SELECT USING (true);
          CREATE POLICY changed ON shelf FOR UPDATE USING (id <> ${bad})`);
        await holder.query('BEGIN');
        await holder.query(`SELECT FROM shelf WHERE id = ${locked} FOR UPDATE`);
        await other.counters.flush();
        expect(await wrongShelves(fixture)).toEqual([locked, bad]);
        const row = {
          entity: 'Shelf',
          id: String(bad),
          reason: expect.stringContaining('a policy of public.shelf') as string,
        };
        expect(await fixture.counters.status()).toMatchObject({ dirty: 1, batches: 0, failed: [row] });
        await holder.query('COMMIT');
        await other.counters.flush();
        expect(await wrongShelves(fixture)).toEqual([bad]);
        await other.counters.close();
        await other.dataSource.destroy();
      });
      await holder.release();
      expect(await fixture.counters.retryFailed()).toBe(1);
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([]);
    });

    test('a policy that hides a row altogether: it is not taken for gone', async () => {
      const { bad } = await fill(fixture);
      const filter = { target: Shelf, ids: [bad] };
      await withRole(async (role) => {
        const other = await as(role);
        await fixture.dataSource.query(`ALTER TABLE shelf ENABLE ROW LEVEL SECURITY;
          CREATE POLICY seen ON shelf USING (id <> ${bad})`);
        await other.counters.flush();
        expect(await wrongShelves(fixture)).toEqual([bad]);
        // Left to a worker that sees it.
        expect(await fixture.counters.status()).toMatchObject({ dirty: 1, batches: 0, failed: [] });
        await expect(other.counters.verify(filter)).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
        await expect(other.counters.recalculate(filter)).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
        await other.counters.close();
        await other.dataSource.destroy();
      });
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([]);
    });

    test('a row whose trigger outlasts statement_timeout: put off, all others are applied', async () => {
      const { bad } = await fill(fixture);
      await beforeUpdate(fixture, `IF NEW.id = ${bad} THEN PERFORM pg_sleep(60); END IF;`);
      const url = new URL(fixture.databaseUrl);
      url.searchParams.set('options', '-c statement_timeout=300');
      const dataSource = newDataSource(url.href, [Shelf, Crate, Book], { synchronize: false });
      const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, ...options });
      await dataSource.initialize();
      await counters.flush();
      expect(await wrongShelves(fixture)).toEqual([bad]);
      expect(await crateCount(fixture)).toBe(GOOD + 1);
      expect(await fixture.counters.status()).toMatchObject({ dirty: 1, batches: 0, failed: [] });
      // Nobody gets at the table: no row is to blame, and none is looked for.
      await fixture.dataSource.query('DROP TRIGGER before_update ON shelf');
      const holder = fixture.dataSource.createQueryRunner();
      await holder.query('BEGIN');
      await holder.query('LOCK TABLE shelf');
      expect((await counters.flush()).unapplied).toBe(1);
      await holder.query('COMMIT');
      await holder.release();
      expect(await fixture.counters.status()).toMatchObject({ dirty: 1, batches: 0, failed: [] });
      await counters.flush();
      expect(await wrongShelves(fixture)).toEqual([]);
      await counters.close();
      await dataSource.destroy();
    });
  });
});
