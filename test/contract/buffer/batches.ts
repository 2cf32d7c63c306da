import type { ClaimScope } from '../../../src/model/pending';
import { until } from '../../support/until';
import {
  claimAll,
  claimedOf,
  contents,
  delta,
  intent,
  only,
  type OpenBuffer,
  pendingOf,
  row,
  STORES,
  USERS,
  LEASE,
} from './harness';

const DUE: ClaimScope = { select: 'due' };
const DIRTY: ClaimScope = { select: 'dirty', tableIds: null };

/** Claim, acknowledge, take over. */
export function describeBatches(open: OpenBuffer): void {
  const [a, b, c] = [row('a'), row('b'), row('c')];

  describe('an epoch', () => {
    it('is raised, never lowered', async () => {
      const buffer = await open({ shards: 2, epoch: null });
      expect(await buffer.epoch(0)).toBeNull();
      await buffer.raiseEpoch(0, 3);
      await buffer.raiseEpoch(0, 2);
      await buffer.raiseEpoch(0, 3);
      expect(await buffer.epoch(0)).toBe(3);
      expect(await buffer.epoch(1)).toBeNull();
    });

    it('is needed to claim: a shard without has lost its data', async () => {
      const buffer = await open({ epoch: null });
      await buffer.add(0, intent('7', delta(a, { posts: 1 })));
      expect(await buffer.claim(0, DIRTY, 10)).toMatchObject({ batch: null, more: false });
      expect(await buffer.claim(0, { select: 'targets', targets: [a] }, 10)).toMatchObject({ batch: null });
      await buffer.raiseEpoch(0, 4);
      expect(await claimAll(buffer)).toMatchObject({ epoch: 4 });
    });
  });

  describe('a claim', () => {
    it('takes what is due, and tells when the next is', async () => {
      const buffer = await open();
      const soon = only(await buffer.add(0, intent('7', delta(a, { posts: 1 }, { wait: 0 }))));
      const later = only(await buffer.add(0, intent('8', delta(b, { posts: 1 }))));
      const { batch, more, next, now } = await until(async () => {
        const claim = await buffer.claim(0, DUE, 10);
        if (claim.batch === null) expect(claim.next).toBe(soon.at);
        return claim.batch === null ? null : claim;
      });
      expect(contents(batch)).toEqual({ [a]: { posts: 1n } });
      expect(now).toBeGreaterThanOrEqual(soon.at);
      expect({ more, next }).toEqual({ more: false, next: later.at });
      expect(await buffer.claim(0, DUE, 10)).toMatchObject({ batch: null, next: later.at });
    });

    it('of an empty shard is empty', async () => {
      const buffer = await open();
      expect(await buffer.claim(0, DUE, 10)).toMatchObject({ batch: null, more: false, next: null });
      expect(await buffer.claim(0, DIRTY, 10)).toMatchObject({ batch: null, more: false, next: null });
    });

    it('makes a batch with an id, the epoch and the time of its own', async () => {
      const buffer = await open({ shards: 2, epoch: 5 });
      await buffer.add(1, intent('7', delta(a, { posts: 1 }, { touches: ['t'] })));
      const { now: before } = await buffer.status(1);
      const batch = await claimAll(buffer, 1);
      const { now: after, batches, dirty, oldestDue } = await buffer.status(1);
      expect(batch).toMatchObject({ shard: 1, epoch: 5 });
      expect(batch.claimedAt).toBeGreaterThanOrEqual(before);
      expect(batch.claimedAt).toBeLessThanOrEqual(after);
      expect({ batches, dirty, oldestDue }).toEqual({ batches: 1, dirty: 0, oldestDue: null });
      await buffer.add(1, intent('8', delta(a, { posts: 1 })));
      expect((await claimAll(buffer, 1)).id).not.toBe(batch.id);
    });

    it('takes the dirty targets of some tables', async () => {
      const buffer = await open();
      const store = row('a', STORES);
      await buffer.add(0, intent('7', delta(a, { posts: 1 }), delta(store, { reviews: 2 })));
      const { batch } = await buffer.claim(0, { select: 'dirty', tableIds: [STORES] }, 10);
      expect(contents(batch)).toEqual({ [store]: { reviews: 2n } });
      expect(contents((await buffer.claim(0, { select: 'dirty', tableIds: [STORES, USERS] }, 10)).batch)).toEqual({
        [a]: { posts: 1n },
      });
    });

    it('takes named targets, due or not', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 1 }), delta(b, { posts: 2 }), delta(c, { posts: 3 })));
      const { batch } = await buffer.claim(0, { select: 'targets', targets: [c, row('unknown'), a] }, 10);
      expect(contents(batch)).toEqual({ [a]: { posts: 1n }, [c]: { posts: 3n } });
      expect(await pendingOf(buffer, b)).toEqual({ posts: 2n });
      expect(await buffer.claim(0, { select: 'targets', targets: [c, a] }, 10)).toMatchObject({ batch: null });
    });

    it.each([DIRTY, DUE, { select: 'targets', targets: [a, b, c] } as const])(
      'stops at the limit: %j',
      async (scope) => {
        const buffer = await open();
        await buffer.add(0, intent('7', ...[a, b, c].map((target) => delta(target, { posts: 1 }, { flushAt: 1 }))));
        const first = await buffer.claim(0, scope, 2);
        expect(first.batch?.entries).toHaveLength(2);
        expect(first.more).toBe(true);
        const second = await buffer.claim(0, scope, 2);
        expect(second.batch?.entries).toHaveLength(1);
        expect(second).toMatchObject({ more: false, next: null });
        const all = [...(first.batch?.entries ?? []), ...(second.batch?.entries ?? [])].map(({ target }) => target);
        expect(all.toSorted()).toEqual([a, b, c]);
      },
    );

    it('takes the oldest first', async () => {
      const buffer = await open();
      await buffer.add(
        0,
        intent('7', delta(a, { posts: 1 }, { wait: 30_000 }), delta(b, { posts: 1 }, { wait: 10_000 })),
      );
      await buffer.add(0, intent('8', delta(c, { posts: 1 }, { wait: 20_000 })));
      const order = [];
      for (let i = 0; i < 3; i++) order.push((await buffer.claim(0, DIRTY, 1)).batch?.entries[0]?.target);
      expect(order).toEqual([b, c, a]);
    });

    it('drops silently what came to nothing', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 1 }), delta(b, { posts: 1 })));
      await buffer.add(0, intent('8', delta(a, { posts: -1 })));
      expect(contents((await buffer.claim(0, DIRTY, 10)).batch)).toEqual({ [b]: { posts: 1n } });
      expect(await buffer.status(0)).toMatchObject({ dirty: 0, batches: 1 });
      await buffer.add(0, intent('9', delta(a, { posts: 1 })));
      await buffer.add(0, intent('10', delta(a, { posts: -1 })));
      expect(await buffer.claim(0, DIRTY, 10)).toMatchObject({ batch: null, next: null });
      expect(await buffer.status(0)).toMatchObject({ dirty: 0, batches: 1 });
    });

    it('lets new deltas become pending, and be claimed, beside an unacknowledged batch', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 1 })));
      const first = await claimAll(buffer);
      await buffer.add(0, intent('8', delta(a, { posts: 2 })));
      expect(await pendingOf(buffer, a)).toEqual({ posts: 2n });
      const second = await claimAll(buffer);
      expect(await claimedOf(buffer, a)).toEqual({ [first.id]: { posts: 1n }, [second.id]: { posts: 2n } });
      expect(await pendingOf(buffer, a)).toEqual({});
      await buffer.acknowledge(0, first.id, []);
      expect(await claimedOf(buffer, a)).toEqual({ [second.id]: { posts: 2n } });
      expect(await buffer.acquireLease(0, 'token', [a], LEASE)).toEqual(['claimed']);
    });

    it.each(['the first', 'the second', 'both', 'neither'] as const)(
      'keeps a lease away until no batch holds the target: %s was asked about before',
      async (asked) => {
        const buffer = await open();
        await buffer.add(0, intent('7', delta(a, { posts: 1 })));
        const first = await claimAll(buffer);
        if (asked === 'the first' || asked === 'both') await claimedOf(buffer, a);
        await buffer.add(0, intent('8', delta(a, { posts: 2 })));
        await buffer.add(0, intent('9', delta(b, { posts: 4 })));
        const second = await claimAll(buffer);
        if (asked === 'the second' || asked === 'both') await claimedOf(buffer, b);
        await buffer.acknowledge(0, second.id, []);
        expect(await buffer.acquireLease(0, 'token', [a, b], LEASE)).toEqual(['claimed', 'acquired']);
        await buffer.acknowledge(0, first.id, []);
        expect(await buffer.acquireLease(0, 'token', [a, b], LEASE)).toEqual(['acquired', 'acquired']);
      },
    );

    it.each([DIRTY, DUE, { select: 'targets', targets: [a, b] } as const])(
      'leaves leased targets (hold): %j',
      async (scope) => {
        const buffer = await open();
        await buffer.add(
          0,
          intent('7', delta(a, { posts: 1 }, { flushAt: 1 }), delta(b, { posts: 1 }, { flushAt: 1 })),
        );
        await buffer.acquireLease(0, 'token', [a], LEASE);
        expect(contents((await buffer.claim(0, scope, 1)).batch)).toEqual({ [b]: { posts: 1n } });
        expect(await buffer.claim(0, scope, 1)).toMatchObject({ batch: null });
        await buffer.releaseLease(0, 'token', [a]);
        expect(contents((await buffer.claim(0, scope, 1)).batch)).toEqual({ [a]: { posts: 1n } });
      },
    );
  });

  describe('an acknowledged batch', () => {
    it('is gone; a second acknowledge changes nothing (I3)', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 1 })));
      const { id } = await claimAll(buffer);
      expect((await buffer.acknowledge(0, id, [])).found).toBe(true);
      expect((await buffer.acknowledge(0, id, [{ target: a, backoff: 0 }])).found).toBe(false);
      expect((await buffer.acknowledge(0, 'never claimed', [])).found).toBe(false);
      expect(await pendingOf(buffer, a)).toEqual({});
      expect(await claimedOf(buffer, a)).toEqual({});
      expect(await buffer.status(0)).toMatchObject({ batches: 0, dirty: 0, oldestDue: null });
    });

    it('gives back what was not applied, on top of what came since, after the back-off', async () => {
      const buffer = await open({ window: 20 });
      await buffer.add(0, intent('7', delta(a, { posts: 1, likes: -4 }), delta(b, { posts: 2 })));
      const { id } = await claimAll(buffer);
      await buffer.add(0, intent('8', delta(a, { posts: 10 }, { wait: 1_000 })));
      const { now } = await buffer.status(0);
      const acknowledged = await buffer.acknowledge(0, id, [
        { target: a, backoff: 30_000 },
        { target: row('not in it'), backoff: 0 },
      ]);
      expect(acknowledged).toMatchObject({ found: true, wakeUps: [{ kind: 'reconcile', shard: 0 }] });
      const { now: after, dirty, oldestDue, batches } = await buffer.status(0);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 11n, likes: -4n });
      expect(await pendingOf(buffer, b)).toEqual({});
      expect({ dirty, batches }).toEqual({ dirty: 1, batches: 0 });
      expect((oldestDue ?? 0) % 20).toBe(0);
      expect(oldestDue).toBeGreaterThanOrEqual(now + 30_000);
      expect(oldestDue).toBeLessThan(after + 30_000 + 20);
    });

    it('gives back some columns only, amounts and touches, where others of the target were applied', async () => {
      const buffer = await open();
      const touches = ['seen at', 'made'];
      await buffer.add(0, intent('7', delta(a, { posts: 1, 'li/ke:s': -4 }, { touches }), delta(b, { posts: 2 })));
      const { id } = await claimAll(buffer);
      await buffer.acknowledge(0, id, [{ target: a, backoff: 0, columns: ['li/ke:s', 'seen at'] }]);
      expect(await pendingOf(buffer, a)).toEqual({ 'li/ke:s': -4n });
      expect(await pendingOf(buffer, b)).toEqual({});
      const again = await claimAll(buffer);
      expect(contents(again)).toEqual({ [a]: { 'li/ke:s': -4n } });
      expect(again.entries.flatMap((entry) => [...entry.touches.keys()])).toEqual(['seen at']);
      await buffer.acknowledge(0, again.id, []);
      expect(await buffer.status(0)).toMatchObject({ dirty: 0, batches: 0 });
    });
  });

  describe('batches that were taken over', () => {
    it('are those held for long, for one sweep at a time, as they were claimed', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 1, likes: 2 }, { touches: ['t'] })));
      const batch = await claimAll(buffer);
      await until(async () => (await buffer.status(0)).now > batch.claimedAt + 300);
      expect(await buffer.takeOver(0, 60_000, 10)).toEqual([]);
      expect(await buffer.takeOver(0, 300, 10)).toEqual([batch]);
      expect(await buffer.takeOver(0, 300, 10)).toEqual([]);
      expect(await buffer.takeOver(0, 0, 10)).toEqual([batch]);
    });

    it('come within a limit', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 1 }), delta(b, { posts: 1 })));
      for (const target of [a, b]) await buffer.claim(0, { select: 'targets', targets: [target] }, 1);
      expect(await buffer.takeOver(0, 0, 1)).toHaveLength(1);
      expect(await buffer.takeOver(0, 0, 5)).toHaveLength(2);
    });

    it('are given back once, whoever acknowledges them (I3)', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 1 }, { touches: ['t'] })));
      const { id } = await claimAll(buffer);
      const taken = only(await buffer.takeOver(0, 0, 10));
      const unapplied = [{ target: a, backoff: 0 }];
      expect((await buffer.acknowledge(0, taken.id, unapplied)).found).toBe(true);
      expect((await buffer.acknowledge(0, id, unapplied)).found).toBe(false);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 1n });
      expect(await buffer.takeOver(0, 0, 10)).toEqual([]);
    });
  });

  describe('the version of a shard', () => {
    it('changes whenever an amount moves between pending, a batch and the column', async () => {
      const buffer = await open();
      const version = async (): Promise<number> => (await buffer.read(0, [])).version;
      await buffer.add(0, intent('7', delta(a, { posts: 1 })));
      const versions = [await version()];
      expect(await version()).toBe(versions[0]);
      const { id } = await claimAll(buffer);
      versions.push(await version());
      await buffer.acknowledge(0, id, []);
      versions.push(await version());
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.finalize(
        0,
        'token',
        { xmin: 9n, xmax: 9n, inProgress: [] },
        [{ target: a, missing: new Map([['posts', 1n]]), rearmIn: null }],
        {
          consume: true,
          dry: false,
        },
      );
      versions.push(await version());
      expect(new Set(versions).size).toBe(versions.length);
    });
  });
}
