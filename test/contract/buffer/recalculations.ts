import type { DeltaBuffer } from '../../../src/engines/buffered/buffer';
import { until } from '../../support/until';
import {
  claimAll,
  CONSUME,
  delta,
  EARLY,
  intent,
  LATE,
  only,
  type OpenBuffer,
  pendingOf,
  recount,
  row,
  LEASE,
} from './harness';

/** Requests, barriers and leases. */
export function describeRecalculations(open: OpenBuffer): void {
  const [a, b, c] = [row('a'), row('b'), row('c')];
  const schedule = (buffer: DeltaBuffer, target: string, recalculateIn: number) =>
    buffer.add(0, intent('7', delta(target, {}, { recalculateIn })));

  describe('a request', () => {
    it('is due at once, or after the delay of a write, oldest first', async () => {
      const buffer = await open();
      await schedule(buffer, a, 60_000);
      await schedule(buffer, b, 10);
      await buffer.requestRepair(0, [c], 0n);
      const due = await until(async () => {
        const found = await buffer.dueRecalculations(0, 10);
        return found.length === 2 ? found : null;
      });
      expect(due).toEqual([
        { target: c, repair: true },
        { target: b, repair: false },
      ]);
      expect(await buffer.dueRecalculations(0, 1)).toEqual([{ target: c, repair: true }]);
      expect(await buffer.status(0)).toMatchObject({ recalculations: 3, dirty: 0 });
    });

    it('only ever moves earlier, and tells when it does', async () => {
      const buffer = await open();
      const { now } = await buffer.status(0);
      const first = only(await schedule(buffer, a, 60_000));
      expect(first).toMatchObject({ kind: 'recalculate', shard: 0 });
      expect(first.at).toBeGreaterThanOrEqual(now + 60_000);
      expect(await schedule(buffer, a, 120_000)).toEqual([]);
      const earlier = await buffer.requestRepair(0, [a, b], 0n);
      expect(only(earlier).at).toBeLessThan(first.at);
      expect(await buffer.dueRecalculations(0, 10)).toHaveLength(2);
    });

    it('comes before one that writes scheduled', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 1 }, { recalculateIn: 60_000 })));
      expect(await buffer.dueRecalculations(0, 10)).toEqual([]);
      await buffer.requestRepair(0, [a], 0n);
      expect(await buffer.dueRecalculations(0, 10)).toEqual([{ target: a, repair: true }]);
      expect(await buffer.status(0)).toMatchObject({ recalculations: 1 });
    });

    it('ends the lease: it needs a later snapshot (generation)', async () => {
      const buffer = await open();
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.requestRepair(0, [a], 0n);
      const { outcomes } = await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 5 })], CONSUME);
      expect(outcomes).toEqual([{ target: a, standing: false, known: new Map() }]);
      expect(await pendingOf(buffer, a)).toEqual({});
      expect(await buffer.dueRecalculations(0, 10)).toHaveLength(1);
    });

    it('forgets the log of the lease it ends', async () => {
      const buffer = await open();
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.add(0, intent('7', delta(a, { posts: 1 })));
      await buffer.requestRepair(0, [a], 0n);
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.finalize(0, 'token', EARLY, [recount(a, { posts: 5 })], CONSUME);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 5n });
    });
  });

  describe('a postponed request', () => {
    it('is due later', async () => {
      const buffer = await open();
      await buffer.requestRepair(0, [a, b], 4n);
      const { now } = await buffer.status(0);
      const wakeUp = only(await buffer.postpone(0, [a], 60_000));
      expect(wakeUp).toMatchObject({ kind: 'recalculate', shard: 0 });
      expect(wakeUp.at).toBeGreaterThanOrEqual(now + 60_000);
      expect(await buffer.dueRecalculations(0, 10)).toEqual([{ target: b, repair: true }]);
      expect(await buffer.acquireLease(0, 'token', [a], { ttl: 60_000, horizon: 4n })).toEqual(['barred']);
    });

    it('of a recount that is under way waits, but not one that came since', async () => {
      const buffer = await open();
      await buffer.requestRepair(0, [a, b], 4n);
      expect(await buffer.acquireLease(0, 'token', [a, b], LEASE)).toEqual(['acquired', 'acquired']);
      await buffer.requestRepair(0, [b], 5n);
      expect(await buffer.postpone(0, [a, b], 60_000, 'token')).toHaveLength(1);
      expect(await buffer.dueRecalculations(0, 10)).toEqual([{ target: b, repair: true }]);
      await buffer.requestRepair(0, [a], 6n);
      expect(await buffer.dueRecalculations(0, 10)).toHaveLength(2);
    });

    it('that is gone stays gone', async () => {
      const buffer = await open();
      expect(await buffer.postpone(0, [a], 0)).toEqual([]);
      expect(await buffer.status(0)).toMatchObject({ recalculations: 0 });
    });
  });

  describe('a barrier', () => {
    it('lets no recalculation pass before every transaction up to it is over', async () => {
      const buffer = await open();
      await buffer.requestRepair(0, [a], 70n);
      expect(await buffer.dueRecalculations(0, 10)).toEqual([{ target: a, repair: true }]);
      const outcome = (horizon: bigint) => buffer.acquireLease(0, 'token', [a], { ttl: 60_000, horizon });
      expect(await outcome(69n)).toEqual(['barred']);
      expect(await outcome(70n)).toEqual(['barred']);
      expect(await outcome(71n)).toEqual(['acquired']);
    });

    it('only ever rises, and a request that waits for none leaves it', async () => {
      const buffer = await open();
      // As text, '9' would be greater than '10'.
      await buffer.requestRepair(0, [a], 9n);
      await buffer.requestRepair(0, [a], 10n);
      await buffer.requestRepair(0, [a], 2n);
      await buffer.requestRepair(0, [a], 0n);
      expect(await buffer.dueRecalculations(0, 10)).toEqual([{ target: a, repair: true }]);
      expect(await buffer.acquireLease(0, 'token', [a], { ttl: 60_000, horizon: 10n })).toEqual(['barred']);
      expect(await buffer.acquireLease(0, 'token', [a], { ttl: 60_000, horizon: 11n })).toEqual(['acquired']);
    });

    it('belongs to the target: no other recalculation passes either', async () => {
      const buffer = await open();
      await buffer.requestRepair(0, [a], 70n);
      await buffer.postpone(0, [a], 60_000);
      expect(await buffer.dueRecalculations(0, 10)).toEqual([]);
      expect(await buffer.acquireLease(0, 'by hand', [a, b], { ttl: 60_000, horizon: 70n })).toEqual([
        'barred',
        'acquired',
      ]);
    });
  });

  describe('a lease', () => {
    it('is refused in this order: claimed, leased, barred', async () => {
      const buffer = await open();
      const low = { ttl: 60_000, horizon: 5n };
      await buffer.requestRepair(0, [a], 5n);
      await buffer.requestRepair(0, [b], 4n);
      expect(await buffer.acquireLease(0, 'token', [a, b, c], low)).toEqual(['barred', 'acquired', 'acquired']);
      expect(await buffer.acquireLease(0, 'other', [a, b, c], { ttl: 60_000, horizon: 0n })).toEqual([
        'barred',
        'held',
        'held',
      ]);
      await buffer.add(0, intent('7', delta(a, { posts: 1 })));
      const { id } = await claimAll(buffer);
      expect(await buffer.acquireLease(0, 'token', [a, b, c], low)).toEqual(['claimed', 'acquired', 'acquired']);
      await buffer.acknowledge(0, id, []);
      expect(await buffer.acquireLease(0, 'token', [a], low)).toEqual(['barred']);
      expect(await buffer.acquireLease(0, 'token', [a], LEASE)).toEqual(['acquired']);
    });

    it('is renewed by its own token, with an empty log', async () => {
      const buffer = await open();
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.add(0, intent('7', delta(a, { posts: 1 })));
      expect(await buffer.acquireLease(0, 'token', [a], LEASE)).toEqual(['acquired']);
      await buffer.finalize(0, 'token', EARLY, [recount(a, { posts: 5 })], CONSUME);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 5n });
    });

    it('ends by its time', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 1 })));
      await buffer.acquireLease(0, 'token', [a], { ttl: 300, horizon: 1n });
      expect(await buffer.acquireLease(0, 'other', [a], LEASE)).toEqual(['held']);
      await until(async () => (await buffer.claim(0, { select: 'dirty', tableIds: null }, 10)).batch);
      const { outcomes } = await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 5 })], CONSUME);
      expect(outcomes).toMatchObject([{ standing: false }]);
      expect(await pendingOf(buffer, a)).toEqual({});
    });

    it('that has expired makes room for another, and logs no more', async () => {
      const buffer = await open();
      await buffer.acquireLease(0, 'token', [a], { ttl: 20, horizon: 1n });
      await until(async () => (await buffer.acquireLease(0, 'other', [a], LEASE))[0] === 'acquired');
      await buffer.releaseLease(0, 'token', [a]);
      expect(await buffer.acquireLease(0, 'third', [a], LEASE)).toEqual(['held']);
    });

    it('lasts longer when it is extended, and keeps its log', async () => {
      const buffer = await open();
      await buffer.acquireLease(0, 'token', [a, b], { ttl: 400, horizon: 1n });
      await buffer.add(0, intent('7', delta(a, { posts: 1 })));
      await buffer.renewLease(0, 'token', [a, c], 60_000);
      // The other one, which was not extended, tells when the first time is over.
      await until(async () => (await buffer.acquireLease(0, 'other', [b], LEASE))[0] === 'acquired');
      expect(await buffer.acquireLease(0, 'other', [a, c], LEASE)).toEqual(['held', 'acquired']);
      await buffer.finalize(0, 'token', EARLY, [recount(a, { posts: 5 })], CONSUME);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 6n });
    });

    it('is extended by its own token only', async () => {
      const buffer = await open();
      await buffer.acquireLease(0, 'token', [a], { ttl: 30, horizon: 1n });
      await buffer.renewLease(0, 'other', [a], 60_000);
      await until(async () => (await buffer.acquireLease(0, 'other', [a], LEASE))[0] === 'acquired');
    });

    it('that has expired stays expired: its log has a gap', async () => {
      const buffer = await open();
      await buffer.acquireLease(0, 'token', [a], { ttl: 10, horizon: 1n });
      const { now } = await buffer.status(0);
      await until(async () => (await buffer.status(0)).now > now + 10);
      await buffer.renewLease(0, 'token', [a], 60_000);
      const { outcomes } = await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 5 })], CONSUME);
      expect(outcomes).toMatchObject([{ standing: false }]);
    });

    it('is ended by its own token only', async () => {
      const buffer = await open();
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.releaseLease(0, 'other', [a]);
      expect(await buffer.acquireLease(0, 'other', [a], LEASE)).toEqual(['held']);
      await buffer.releaseLease(0, 'token', [a, b]);
      expect(await buffer.acquireLease(0, 'other', [a], LEASE)).toEqual(['acquired']);
    });
  });
}
