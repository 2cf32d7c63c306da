import { until } from '../../support/until';
import {
  claimAll,
  CONSUME,
  contents,
  delta,
  intent,
  LATE,
  only,
  type OpenBuffer,
  pendingOf,
  recount,
  row,
  LEASE,
} from './harness';

/** Targets that the database refused: parked, not due. */
export function describeFailures(open: OpenBuffer): void {
  const [a, b] = [row('a'), row('b')];

  async function withParked(...targets: string[]) {
    const buffer = await open();
    await buffer.add(0, intent('7', ...targets.map((target) => delta(target, { posts: 1 }))));
    const { id } = await claimAll(buffer);
    await buffer.acknowledge(
      0,
      id,
      targets.map((target) => ({ target, failed: `"${target}" is out of range` })),
    );
    return buffer;
  }

  describe('a failed target', () => {
    it('stays pending with its reason, and is not due', async () => {
      const buffer = await withParked(a);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 1n });
      expect(await buffer.status(0)).toMatchObject({
        dirty: 0,
        oldestDue: null,
        batches: 0,
        failed: [{ target: a, reason: `"${a}" is out of range` }],
      });
      for (const scope of [
        { select: 'dirty', tableIds: null },
        { select: 'due' },
        { select: 'targets', targets: [a] },
      ] as const) {
        expect(await buffer.claim(0, scope, 10)).toMatchObject({ batch: null, next: null });
      }
    });

    it('gathers deltas without becoming due', async () => {
      const buffer = await withParked(a);
      await buffer.announce(0, intent('8', delta(a, { posts: 2, likes: 1 }, { flushAt: 1, recalculateIn: 60_000 })));
      expect(await buffer.confirm(0, '8')).toMatchObject({ found: true, wakeUps: [{ kind: 'recalculate' }] });
      expect(await pendingOf(buffer, a)).toEqual({ posts: 3n, likes: 1n });
      expect(await buffer.status(0)).toMatchObject({ dirty: 0 });
    });

    it('is no longer due when it was parked while it was dirty again', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 1 })));
      const { id } = await claimAll(buffer);
      await buffer.add(0, intent('8', delta(a, { posts: 1 })));
      await buffer.acknowledge(0, id, [{ target: a, failed: 'out of range' }]);
      expect(await buffer.status(0)).toMatchObject({ dirty: 0, oldestDue: null });
      expect(await pendingOf(buffer, a)).toEqual({ posts: 2n });
    });

    it('is due again when it is retried: all, or the named ones', async () => {
      const buffer = await withParked(a, b);
      expect(await buffer.retryFailed(0, [])).toEqual({ count: 0, wakeUps: [] });
      expect(await buffer.retryFailed(0, [row('unknown')])).toEqual({ count: 0, wakeUps: [] });
      const { count, wakeUps } = await buffer.retryFailed(0, [b]);
      expect(count).toBe(1);
      expect(only(wakeUps)).toMatchObject({ kind: 'reconcile', shard: 0 });
      expect(only(wakeUps).delay).toBeLessThanOrEqual(0);
      expect(contents((await buffer.claim(0, { select: 'due' }, 10)).batch)).toEqual({ [b]: { posts: 1n } });
      expect((await buffer.status(0)).failed).toMatchObject([{ target: a }]);
      expect(await buffer.retryFailed(0, null)).toMatchObject({ count: 1 });
      expect(contents((await buffer.claim(0, { select: 'due' }, 10)).batch)).toEqual({ [a]: { posts: 1n } });
      expect(await buffer.retryFailed(0, null)).toEqual({ count: 0, wakeUps: [] });
    });

    it('is replaced by a recalculation, and due again', async () => {
      const buffer = await withParked(a);
      await buffer.acquireLease(0, 'token', [a], LEASE);
      const { outcomes, wakeUps } = await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 5 })], CONSUME);
      expect(outcomes).toEqual([{ target: a, standing: true, known: new Map([['posts', 1n]]) }]);
      expect(wakeUps).toMatchObject([{ kind: 'reconcile' }]);
      expect(await buffer.status(0)).toMatchObject({ dirty: 1, failed: [] });
      const { batch } = await until(async () => {
        const claim = await buffer.claim(0, { select: 'due' }, 10);
        return claim.batch === null ? null : claim;
      });
      expect(contents(batch)).toEqual({ [a]: { posts: 5n } });
    });
  });
}
