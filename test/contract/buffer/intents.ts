import { until } from '../../support/until';
import {
  claimAll,
  claimedOf,
  contents,
  delta,
  intent,
  MAX,
  MIN,
  type OpenBuffer,
  pendingOf,
  plain,
  row,
  LEASE,
} from './harness';

/** Announce, confirm, discard, add; the sweep of intents. */
export function describeIntents(open: OpenBuffer): void {
  const [a, b] = [row('a'), row('b')];

  describe('an intent', () => {
    it('is not pending before it is confirmed', async () => {
      const buffer = await open();
      await buffer.announce(0, intent('7', delta(a, { posts: 1 })));
      expect(await pendingOf(buffer, a)).toEqual({});
      expect(await buffer.status(0)).toMatchObject({ intents: 1, dirty: 0 });
      expect(await buffer.confirm(0, '7')).toMatchObject({ found: true });
      expect(await pendingOf(buffer, a)).toEqual({ posts: 1n });
      expect(await buffer.status(0)).toMatchObject({ intents: 0, dirty: 1 });
    });

    it('is confirmed once, however often it is confirmed (I3)', async () => {
      const buffer = await open();
      await buffer.announce(0, intent('7', delta(a, { posts: 1 })));
      await buffer.confirm(0, '7');
      expect(await buffer.confirm(0, '7')).toEqual({ found: false, wakeUps: [] });
      expect(await pendingOf(buffer, a)).toEqual({ posts: 1n });
    });

    it('counts once, however often it is announced (I3)', async () => {
      const buffer = await open();
      const announced = intent('7', delta(a, { posts: 1 }));
      await buffer.announce(0, announced);
      await buffer.announce(0, announced);
      await buffer.confirm(0, '7');
      expect(await pendingOf(buffer, a)).toEqual({ posts: 1n });
    });

    it('is gone when it was discarded, however often', async () => {
      const buffer = await open();
      await buffer.announce(0, intent('7', delta(a, { posts: 1 })));
      await buffer.discard(0, '7');
      await buffer.discard(0, '7');
      expect(await buffer.confirm(0, '7')).toEqual({ found: false, wakeUps: [] });
      expect(await buffer.status(0)).toMatchObject({ intents: 0, dirty: 0 });
    });

    it('is what it was when it was announced', async () => {
      const buffer = await open();
      const changing = new Map([['posts', 1n]]);
      await buffer.announce(0, intent('7', delta(a, {}, { amounts: changing })));
      changing.set('posts', 5n);
      await buffer.confirm(0, '7');
      expect(await pendingOf(buffer, a)).toEqual({ posts: 1n });
      expect([...changing]).toEqual([['posts', 5n]]);
    });

    it('may hold several targets and columns; amounts of one column add up', async () => {
      const buffer = await open();
      await buffer.announce(0, intent('7', delta(a, { posts: 2, likes: -1 }), delta(b, { posts: 5 })));
      await buffer.announce(0, intent('8', delta(a, { posts: -3 })));
      await buffer.confirm(0, '8');
      await buffer.confirm(0, '7');
      expect(await pendingOf(buffer, a)).toEqual({ posts: -1n, likes: -1n });
      expect(await pendingOf(buffer, b)).toEqual({ posts: 5n });
    });

    it('belongs to its shard', async () => {
      const buffer = await open({ shards: 2 });
      expect(buffer.shards).toBe(2);
      await buffer.announce(1, intent('7', delta(a, { posts: 1 })));
      expect(await buffer.confirm(0, '7')).toMatchObject({ found: false });
      const { wakeUps } = await buffer.confirm(1, '7');
      expect(wakeUps).toMatchObject([{ kind: 'reconcile', shard: 1 }]);
      expect(await buffer.status(0)).toMatchObject({ shard: 0, dirty: 0 });
      expect(await buffer.status(1)).toMatchObject({ shard: 1, dirty: 1 });
    });
  });

  describe('an unannounced delta', () => {
    it('is pending at once', async () => {
      const buffer = await open();
      const wakeUps = await buffer.add(0, intent('7', delta(a, { posts: 2 }), delta(b, { likes: 1 })));
      expect(wakeUps).toMatchObject([{ kind: 'reconcile', shard: 0 }]);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 2n });
      expect(await pendingOf(buffer, b)).toEqual({ likes: 1n });
      expect(await buffer.status(0)).toMatchObject({ intents: 0, dirty: 2 });
    });
  });

  describe('a touch', () => {
    it('is pending even when nothing is added, at the time of the confirm', async () => {
      const buffer = await open();
      await buffer.announce(0, intent('7', delta(a, {}, { touches: ['postsUpdatedAt'] })));
      const { now: before } = await buffer.status(0);
      await buffer.confirm(0, '7');
      const { now: after } = await buffer.status(0);
      const { entries } = await claimAll(buffer);
      const touched = entries[0]?.touches.get('postsUpdatedAt') ?? 0;
      expect(entries).toHaveLength(1);
      expect(plain(entries[0]?.amounts ?? new Map())).toEqual({});
      expect(touched).toBeGreaterThanOrEqual(before);
      expect(touched).toBeLessThanOrEqual(after);
    });

    it('keeps the latest time, also of what is given back', async () => {
      const buffer = await open();
      const touch = delta(a, { posts: 1 }, { touches: ['t'] });
      await buffer.add(0, intent('7', touch));
      const first = await claimAll(buffer);
      const { now } = await buffer.status(0);
      await until(async () => (await buffer.status(0)).now > now);
      await buffer.add(0, intent('8', touch));
      await buffer.acknowledge(0, first.id, [{ target: a, backoff: 0 }]);
      const second = await claimAll(buffer);
      expect(contents(second)).toEqual({ [a]: { posts: 2n } });
      expect(second.entries[0]?.touches.get('t')).toBeGreaterThan(now);
    });
  });

  describe('amounts', () => {
    const large = 9_007_199_254_740_993n;

    it('are exact beyond 2^53, through every step', async () => {
      const buffer = await open();
      await buffer.announce(0, intent('7', delta(a, { posts: large, likes: -large })));
      await buffer.confirm(0, '7');
      await buffer.add(0, intent('8', delta(a, { posts: 2 })));
      expect(await pendingOf(buffer, a)).toEqual({ posts: large + 2n, likes: -large });
      const batch = await claimAll(buffer);
      expect(contents(batch)).toEqual({ [a]: { posts: large + 2n, likes: -large } });
      expect(await claimedOf(buffer, a)).toEqual({ [batch.id]: { posts: large + 2n, likes: -large } });
      expect(contents((await buffer.takeOver(0, 0, 1))[0] ?? null)).toEqual(contents(batch));
      await buffer.acknowledge(0, batch.id, [{ target: a, backoff: 0 }]);
      expect(await pendingOf(buffer, a)).toEqual({ posts: large + 2n, likes: -large });
    });

    it('reach to the ends of int64', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: MAX, likes: MIN })));
      expect(await pendingOf(buffer, a)).toEqual({ posts: MAX, likes: MIN });
      expect(await buffer.status(0)).toMatchObject({ recalculations: 0 });
      expect(contents(await claimAll(buffer))).toEqual({ [a]: { posts: MAX, likes: MIN } });
    });

    it.each([
      ['the sum', MAX, 1n],
      ['the negative sum', MIN, -1n],
      ['an amount', 5n, 2n ** 64n],
    ])('beyond int64 (%s) ask for a recalculation', async (_, first, second) => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: first })));
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.announce(0, intent('8', delta(a, { posts: second })));
      const { found, wakeUps } = await buffer.confirm(0, '8');
      expect(found).toBe(true);
      expect(wakeUps).toEqual([expect.objectContaining({ kind: 'recalculate' })]);
      expect(await pendingOf(buffer, a)).toEqual({ posts: first });
      expect(await buffer.dueRecalculations(0, 10)).toEqual([{ target: a, repair: true }]);
      expect(await buffer.acquireLease(0, 'other', [a], LEASE)).toEqual(['acquired']);
    });

    it('beyond int64 ask for a recalculation when they are given back, too', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: MAX })));
      const { id } = await claimAll(buffer);
      await buffer.add(0, intent('8', delta(a, { posts: 1 })));
      expect((await buffer.acknowledge(0, id, [{ target: a, backoff: 0 }])).found).toBe(true);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 1n });
      expect(await buffer.dueRecalculations(0, 10)).toEqual([{ target: a, repair: true }]);
    });
  });

  describe('stale intents', () => {
    it('are those announced longer ago than the time-out, oldest first', async () => {
      const buffer = await open();
      await buffer.announce(0, intent('20', delta(a, { posts: 1 })));
      const { now } = await buffer.status(0);
      await until(async () => (await buffer.status(0)).now > now + 2);
      await buffer.announce(0, intent('3', delta(b, { posts: 1 })));
      expect(await buffer.staleIntents(0, 60_000, 10)).toEqual([]);
      expect(await buffer.staleIntents(0, 0, 10)).toEqual(['20', '3']);
      expect(await buffer.staleIntents(0, 0, 1)).toEqual(['20']);
    });

    it('are dropped by the sweep, and their targets recalculated behind the barrier', async () => {
      const buffer = await open();
      await buffer.announce(0, intent('7', delta(a, { posts: 1 }), delta(b, { posts: 1 })));
      await buffer.acquireLease(0, 'token', [a], LEASE);
      const { targets, wakeUps } = await buffer.sweepIntents(0, ['7', 'never announced'], 90n);
      expect(targets.toSorted()).toEqual([a, b]);
      expect(wakeUps).toEqual([expect.objectContaining({ kind: 'recalculate', shard: 0 })]);
      const due = await buffer.dueRecalculations(0, 10);
      expect(due.toSorted((x, y) => (x.target < y.target ? -1 : 1))).toEqual([
        { target: a, repair: true },
        { target: b, repair: true },
      ]);
      expect(await buffer.acquireLease(0, 'token', [a, b], { ttl: 60_000, horizon: 90n })).toEqual([
        'barred',
        'barred',
      ]);
      expect(await buffer.acquireLease(0, 'token', [a, b], { ttl: 60_000, horizon: 91n })).toEqual([
        'acquired',
        'acquired',
      ]);
    });

    it('are gone after the sweep: a late confirm adds nothing (I3)', async () => {
      const buffer = await open();
      await buffer.announce(0, intent('7', delta(a, { posts: 1 })));
      await buffer.sweepIntents(0, ['7'], 0n);
      expect(await buffer.confirm(0, '7')).toEqual({ found: false, wakeUps: [] });
      expect(await buffer.sweepIntents(0, ['7'], 0n)).toEqual({ targets: [], wakeUps: [] });
      expect(await pendingOf(buffer, a)).toEqual({});
    });

    it('that were confirmed are left alone by the sweep', async () => {
      const buffer = await open();
      await buffer.announce(0, intent('7', delta(a, { posts: 1 })));
      const stale = await buffer.staleIntents(0, 0, 10);
      await buffer.confirm(0, '7');
      expect(await buffer.sweepIntents(0, stale, 5n)).toEqual({ targets: [], wakeUps: [] });
      expect(await buffer.status(0)).toMatchObject({ recalculations: 0, dirty: 1 });
    });
  });
}
