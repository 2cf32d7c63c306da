import { type Fixture, setup } from '../../support/setup';
import { describeVersions } from '../../support/versions';
import { beforeUpdate, Book, Crate, crateCount, fill, GOOD, Shelf, wrongShelves } from './shelves';

/** SQLSTATEs that a trigger may raise: of classes that nobody has reserved, and those of the server itself. */
const CODES = ['AR001', '45000', '42501', '42883', '42P01', '55000', '57014', 'XX000', 'P0001', '23514', '54001'];

/** Those by which a trigger asks to be tried again. */
const AGAIN = ['40001', '55P03', '53200'];

describeVersions('one row that a trigger refuses', (server) => {
  describe.each(['buffered', 'outbox'] as const)('%s', (mode) => {
    let fixture: Fixture;

    beforeEach(async () => {
      fixture = await setup({
        entities: [Shelf, Crate, Book],
        server: server(),
        counters: { mode, shards: 2, wait: 600_000, window: 1_000 },
      });
    });
    afterEach(async () => {
      expect(fixture.errors).toEqual([]);
      await fixture.close();
    });

    test.each(CODES)('with %s: parked and named, all others are right', async (code) => {
      const { bad, shelves } = await fill(fixture);
      await beforeUpdate(fixture, `IF NEW.id = ${bad} THEN RAISE 'not this one' USING ERRCODE = '${code}'; END IF;`);
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([bad]);
      expect(await crateCount(fixture)).toBe(GOOD + 1);
      const row = { entity: 'Shelf', id: String(bad), reason: 'not this one' };
      expect(await fixture.counters.status()).toMatchObject({ dirty: 0, batches: 0, failed: [row] });
      const good = shelves.map(({ id }) => id).filter((id) => id !== bad);
      await fixture.dataSource.query(`UPDATE shelf SET "booksCount" = 7 WHERE id = ${good[0]}`);
      const recount = await fixture.counters.recalculate({ target: Shelf, ids: good });
      expect(recount).toMatchObject({ checked: GOOD, fixedCount: 1, failed: [], unsettled: [] });
      expect(await wrongShelves(fixture)).toEqual([bad]);
      expect((await fixture.counters.recalculate({ target: Shelf })).failed).toEqual([row]);
      await fixture.dataSource.query('DROP TRIGGER before_update ON shelf');
      expect(await fixture.counters.retryFailed()).toBe(1);
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([]);
      expect((await fixture.counters.status()).failed).toEqual([]);
    });

    test.each(AGAIN)('with %s, which asks to try again: put off, not parked; all others are right', async (code) => {
      const { bad } = await fill(fixture);
      await beforeUpdate(fixture, `IF NEW.id = ${bad} THEN RAISE 'busy' USING ERRCODE = '${code}'; END IF;`);
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([bad]);
      expect(await crateCount(fixture)).toBe(GOOD + 1);
      expect(await fixture.counters.status()).toMatchObject({ dirty: 1, batches: 0, failed: [] });
      await fixture.dataSource.query('DROP TRIGGER before_update ON shelf');
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([]);
    });

    test('at COMMIT, by a deferred constraint trigger', async () => {
      const { bad } = await fill(fixture);
      await fixture.dataSource.query(
        `CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF NEW.id = ${bad} THEN RAISE 'not this one'; END IF; RETURN NULL; END $$`,
      );
      await fixture.dataSource.query(
        `CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON shelf DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION at_commit()`,
      );
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([bad]);
      const row = { entity: 'Shelf', id: String(bad), reason: 'not this one' };
      expect((await fixture.counters.status()).failed).toEqual([row]);
      await fixture.dataSource.query('DROP TRIGGER at_commit ON shelf');
      await fixture.counters.retryFailed();
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([]);
    });

    test('by returning NULL, without an error', async () => {
      const { bad } = await fill(fixture);
      await beforeUpdate(fixture, `IF NEW.id = ${bad} THEN RETURN NULL; END IF;`);
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([bad]);
      const row = {
        entity: 'Shelf',
        id: String(bad),
        reason: expect.stringContaining('BEFORE UPDATE trigger') as string,
      };
      expect(await fixture.counters.status()).toMatchObject({ dirty: 0, batches: 0, failed: [row] });
      await fixture.dataSource.query('DROP TRIGGER before_update ON shelf');
      await fixture.counters.retryFailed();
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([]);
    });

    test('by returning NULL, while somebody listens to what is reconciled', async () => {
      let changes = 0;
      fixture.counters.on('reconciled', (reconciled) => (changes += reconciled.changes.length));
      const { bad } = await fill(fixture);
      await beforeUpdate(fixture, `IF NEW.id = ${bad} THEN RETURN NULL; END IF;`);
      await fixture.counters.flush();
      expect(await wrongShelves(fixture)).toEqual([bad]);
      expect((await fixture.counters.status()).failed).toHaveLength(1);
      expect(changes).toBe(GOOD + 1);
    });
  });
});
