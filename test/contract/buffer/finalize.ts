import type { DeltaBuffer } from '../../../src/engines/buffered/buffer';
import {
  claimAll,
  CONSUME,
  contents,
  delta,
  DRY,
  EARLY,
  intent,
  LATE,
  MAX,
  only,
  type OpenBuffer,
  pendingOf,
  recount,
  row,
  snapshot,
  LEASE,
} from './harness';

/** Makes what a recount found missing pending. */
export function describeFinalize(open: OpenBuffer): void {
  const [a, b] = [row('a'), row('b')];

  async function leased(...targets: string[]): Promise<DeltaBuffer> {
    const buffer = await open();
    await buffer.acquireLease(0, 'token', targets, LEASE);
    return buffer;
  }

  const known = (of: Record<string, bigint>) => new Map(Object.entries(of));

  describe('a finalize', () => {
    it('makes pending what the column lacks, due at once', async () => {
      const buffer = await leased(a);
      const { outcomes, wakeUps } = await buffer.finalize(
        0,
        'token',
        LATE,
        [recount(a, { posts: 5, likes: -2 })],
        CONSUME,
      );
      expect(outcomes).toEqual([{ target: a, standing: true, known: known({ posts: 0n, likes: 0n }) }]);
      expect(only(wakeUps)).toMatchObject({ kind: 'reconcile', shard: 0 });
      expect(only(wakeUps).delay).toBeLessThanOrEqual(0);
      expect(contents((await buffer.claim(0, { select: 'due' }, 10)).batch)).toEqual({
        [a]: { posts: 5n, likes: -2n },
      });
    });

    it('replaces what was pending and seen', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 3 })));
      await buffer.acquireLease(0, 'token', [a], LEASE);
      const { outcomes } = await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 4 })], CONSUME);
      expect(outcomes).toEqual([{ target: a, standing: true, known: known({ posts: 3n }) }]);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 4n });
    });

    it('leaves a right row clean, without a wake-up', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 3 })));
      await buffer.acquireLease(0, 'token', [a], LEASE);
      const { wakeUps } = await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 0 })], CONSUME);
      expect(wakeUps).toEqual([]);
      expect(await buffer.status(0)).toMatchObject({ dirty: 0, oldestDue: null, recalculations: 0 });
    });

    it('names the targets for which something is pending, in whatever column', async () => {
      const buffer = await open();
      const [c, d] = [row('c'), row('d')];
      await buffer.add(0, intent('7', delta(b, { likes: 1 }), delta(d, { posts: 2 })));
      await buffer.acquireLease(0, 'token', [a, b, c, d], LEASE);
      const recounts = [
        recount(a, { posts: 5 }),
        recount(b, { posts: 0 }),
        recount(c, { posts: 0 }),
        recount(d, { posts: 0 }),
      ];
      const { dirty } = await buffer.finalize(0, 'token', LATE, recounts, CONSUME);
      expect(dirty.toSorted()).toEqual([a, b].toSorted());
    });

    it('names none of them that changes nothing, or was lost', async () => {
      const buffer = await leased(a);
      await buffer.add(0, intent('7', delta(a, { posts: 1 }), delta(b, { posts: 1 })));
      const recounts = [recount(a, { posts: 1 }), recount(b, { posts: 1 })];
      expect((await buffer.finalize(0, 'token', LATE, recounts, DRY)).dirty).toEqual([]);
      expect((await buffer.finalize(0, 'token', LATE, recounts, CONSUME)).dirty).toEqual([]);
    });

    it('keeps a pending touch, and the target due for it', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 3 }, { touches: ['t'] })));
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 0 })], CONSUME);
      expect(only((await claimAll(buffer)).entries).touches.size).toBe(1);
    });

    it('keeps what is pending for columns that were not recounted', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 3, likes: 2 })));
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 0 })], CONSUME);
      expect(await pendingOf(buffer, a)).toEqual({ likes: 2n });
      expect(await buffer.status(0)).toMatchObject({ dirty: 1 });
    });

    it('takes a column that came to nothing for clean', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 3, likes: 2 })));
      await buffer.add(0, intent('8', delta(a, { likes: -2 })));
      await buffer.acquireLease(0, 'token', [a], LEASE);
      expect((await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 0 })], CONSUME)).wakeUps).toEqual([]);
      expect(await buffer.status(0)).toMatchObject({ dirty: 0 });
    });

    it('is exact beyond 2^53', async () => {
      const large = 9_007_199_254_740_993n;
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: large })));
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.add(0, intent('100', delta(a, { posts: large + 2n })));
      await buffer.announce(0, intent('8', delta(a, { posts: -4n * large })));
      const { outcomes } = await buffer.finalize(0, 'token', snapshot(50), [recount(a, { posts: -large })], CONSUME);
      expect(outcomes).toMatchObject([{ known: known({ posts: -3n * large }) }]);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 2n });
    });

    it('asks again when what is missing does not fit int64, but not at once', async () => {
      const buffer = await leased(a);
      const { wakeUps } = await buffer.finalize(0, 'token', LATE, [recount(a, { posts: MAX + 1n })], CONSUME);
      expect(only(wakeUps)).toMatchObject({ kind: 'recalculate' });
      expect(await pendingOf(buffer, a)).toEqual({});
      expect(await buffer.status(0)).toMatchObject({ dirty: 0, recalculations: 1 });
      // A worker recalculates until nothing is due: it must not go round for ever.
      expect(await buffer.dueRecalculations(0, 10)).toEqual([]);
    });
  });

  describe('the log of a lease', () => {
    it('adds what the snapshot did not see', async () => {
      const buffer = await open();
      await buffer.add(0, intent('5', delta(a, { posts: 100 })));
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.announce(0, intent('40', delta(a, { posts: 1 })));
      await buffer.announce(0, intent('60', delta(a, { posts: 10 }), delta(b, { posts: 7 })));
      await buffer.confirm(0, '40');
      await buffer.confirm(0, '60');
      const { outcomes } = await buffer.finalize(0, 'token', snapshot(50), [recount(a, { posts: 3 })], CONSUME);
      expect(outcomes).toEqual([{ target: a, standing: true, known: known({ posts: 101n }) }]);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 13n });
      expect(await pendingOf(buffer, b)).toEqual({ posts: 7n });
    });

    // The snapshot 10:20:12,15 of PostgreSQL.
    it.each([
      ['9', true],
      ['10', true],
      ['11', true],
      ['12', false],
      ['15', false],
      ['16', true],
      ['19', true],
      ['20', false],
      ['100', false],
      ['some-uuid', false],
      ['1e0', false],
      ['0x1', false],
      ['-1', false],
      [' 9', false],
    ])('takes transaction %j for seen: %s', async (id, seen) => {
      const buffer = await leased(a);
      await buffer.add(0, intent(id, delta(a, { posts: 1 })));
      const visible = { xmin: 10n, xmax: 20n, inProgress: [12n, 15n] };
      const { outcomes } = await buffer.finalize(0, 'token', visible, [recount(a, { posts: 0 })], CONSUME);
      expect(outcomes).toMatchObject([{ known: known({ posts: seen ? 1n : 0n }) }]);
      expect(await pendingOf(buffer, a)).toEqual(seen ? {} : { posts: 1n });
    });

    it('holds every column of a transaction, and several transactions', async () => {
      const buffer = await leased(a, b);
      await buffer.add(0, intent('60', delta(a, { posts: 1, likes: 2 }), delta(b, { posts: 4 })));
      await buffer.add(0, intent('61', delta(a, { posts: 8 })));
      const recounts = [recount(a, { posts: 0, likes: 10 }), recount(b, { posts: 0 })];
      const { outcomes } = await buffer.finalize(0, 'token', snapshot(61), recounts, CONSUME);
      expect(outcomes.map((outcome) => outcome.known)).toEqual([known({ posts: 1n, likes: 2n }), known({ posts: 4n })]);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 8n, likes: 10n });
      expect(await pendingOf(buffer, b)).toEqual({});
    });
  });

  describe('an open intent that the snapshot has seen', () => {
    it('is absorbed: its confirm adds no more', async () => {
      const buffer = await leased(a);
      await buffer.announce(0, intent('40', delta(a, { posts: 1, likes: 1 }), delta(b, { posts: 2 })));
      const { outcomes } = await buffer.finalize(0, 'token', snapshot(50), [recount(a, { posts: 1 })], CONSUME);
      expect(outcomes).toEqual([{ target: a, standing: true, known: known({ posts: 1n }) }]);
      await claimAll(buffer);
      expect(await buffer.confirm(0, '40')).toMatchObject({ found: true });
      expect(await pendingOf(buffer, a)).toEqual({ likes: 1n });
      expect(await pendingOf(buffer, b)).toEqual({ posts: 2n });
    });

    it('asks for nothing when it was absorbed as a whole, and then confirmed', async () => {
      const buffer = await leased(a);
      await buffer.announce(0, intent('40', delta(a, { posts: 1 })));
      await buffer.finalize(0, 'token', snapshot(50), [recount(a, { posts: 0 })], CONSUME);
      expect(await buffer.confirm(0, '40')).toMatchObject({ found: true });
      expect(await pendingOf(buffer, a)).toEqual({});
      expect(await buffer.claim(0, { select: 'dirty', tableIds: null }, 10)).toMatchObject({ batch: null, next: null });
      expect(await buffer.status(0)).toMatchObject({ recalculations: 0, intents: 0 });
    });

    it('is absorbed as a whole where the row is gone: it adds nothing to one that takes over the key', async () => {
      const buffer = await leased(a);
      await buffer.announce(0, intent('40', delta(a, { posts: -1, likes: -3 }), delta(b, { posts: 2 })));
      await buffer.announce(0, intent('60', delta(a, { posts: 4 })));
      const gone = { target: a, missing: null, rearmIn: null };
      const { outcomes } = await buffer.finalize(0, 'token', snapshot(50), [gone], CONSUME);
      expect(outcomes).toMatchObject([{ target: a, standing: true }]);
      await buffer.confirm(0, '40');
      await buffer.confirm(0, '60');
      expect(await pendingOf(buffer, a)).toEqual({ posts: 4n });
      expect(await pendingOf(buffer, b)).toEqual({ posts: 2n });
    });

    it('is not the one that it has not seen', async () => {
      const buffer = await leased(a);
      await buffer.announce(0, intent('60', delta(a, { posts: 1 })));
      await buffer.announce(0, intent('45', delta(a, { posts: 4 })));
      const { outcomes } = await buffer.finalize(0, 'token', snapshot(50, 45), [recount(a, { posts: 0 })], CONSUME);
      expect(outcomes).toMatchObject([{ known: known({ posts: 0n }) }]);
      await buffer.confirm(0, '60');
      await buffer.confirm(0, '45');
      expect(await pendingOf(buffer, a)).toEqual({ posts: 5n });
    });
  });

  describe('a finalize whose lease stands no longer', () => {
    it.each<[string, (buffer: DeltaBuffer) => Promise<unknown>]>([
      ['released', (buffer) => buffer.releaseLease(0, 'token', [a])],
      ['requested again', (buffer) => buffer.requestRepair(0, [a], 0n)],
      ['finalized before', (buffer) => buffer.finalize(0, 'token', LATE, [recount(a, { posts: 3 })], DRY)],
    ])('changes nothing: %s', async (_, end) => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 3 })));
      await buffer.announce(0, intent('8', delta(a, { posts: 1 })));
      await buffer.acquireLease(0, 'token', [a, b], LEASE);
      await end(buffer);
      const recounts = [recount(a, { posts: 9 }), recount(b, { posts: 4 })];
      const { outcomes } = await buffer.finalize(0, 'token', LATE, recounts, CONSUME);
      expect(outcomes).toEqual([
        { target: a, standing: false, known: new Map() },
        { target: b, standing: true, known: known({ posts: 0n }) },
      ]);
      await buffer.confirm(0, '8');
      expect(await pendingOf(buffer, a)).toEqual({ posts: 4n });
      expect(await pendingOf(buffer, b)).toEqual({ posts: 4n });
    });

    it('needs its own token', async () => {
      const buffer = await leased(a);
      const { outcomes } = await buffer.finalize(0, 'other', LATE, [recount(a, { posts: 9 })], CONSUME);
      expect(outcomes).toEqual([{ target: a, standing: false, known: new Map() }]);
      expect(await buffer.acquireLease(0, 'other', [a], LEASE)).toEqual(['held']);
    });
  });

  describe('a dry finalize', () => {
    it('reports, ends the lease, and changes nothing else', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 3 })));
      await buffer.requestRepair(0, [a], 4n);
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.add(0, intent('60', delta(a, { posts: 10 })));
      await buffer.announce(0, intent('40', delta(a, { posts: 100 })));
      const before = await buffer.read(0, [a]);
      const { outcomes, wakeUps } = await buffer.finalize(
        0,
        'token',
        snapshot(50),
        [recount(a, { posts: 1 }, 1_000)],
        DRY,
      );
      expect(outcomes).toEqual([{ target: a, standing: true, known: known({ posts: 103n }) }]);
      expect(wakeUps).toEqual([]);
      expect(await buffer.read(0, [a])).toEqual(before);
      expect(await buffer.dueRecalculations(0, 10)).toEqual([{ target: a, repair: true }]);
      await buffer.confirm(0, '40');
      expect(await pendingOf(buffer, a)).toEqual({ posts: 113n });
      expect(contents(await claimAll(buffer))).toEqual({ [a]: { posts: 113n } });
    });

    it('of an absent row drops nothing', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 3 })));
      await buffer.acquireLease(0, 'token', [a], LEASE);
      const { outcomes } = await buffer.finalize(0, 'token', LATE, [recount(a, null)], DRY);
      expect(outcomes).toEqual([{ target: a, standing: true, known: new Map() }]);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 3n });
    });
  });

  it('a finalize that has seen nothing keeps every logged delta', async () => {
    const buffer = await leased(a);
    await buffer.add(0, intent('2', delta(a, { posts: 1 })));
    await buffer.finalize(0, 'token', EARLY, [recount(a, { posts: 10 })], CONSUME);
    expect(await pendingOf(buffer, a)).toEqual({ posts: 11n });
  });
}
