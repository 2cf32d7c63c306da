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
  snapshot,
  LEASE,
} from './harness';
import type { DeltaBuffer } from '../../../src/engines/buffered/buffer';

/** What becomes of the request of a target that was finalized, and of a target without a row. */
export function describeFinalizedRequests(open: OpenBuffer): void {
  const [a, b, c] = [row('a'), row('b'), row('c')];

  describe('the request of a finalized target', () => {
    const requested = async (): Promise<DeltaBuffer> => {
      const buffer = await open();
      await buffer.requestRepair(0, [a], 4n);
      await buffer.acquireLease(0, 'token', [a], LEASE);
      return buffer;
    };

    it('is consumed, with its barrier', async () => {
      const buffer = await requested();
      await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 0 }, 60_000)], CONSUME);
      expect(await buffer.status(0)).toMatchObject({ recalculations: 0 });
      expect(await buffer.acquireLease(0, 'token', [a], { ttl: 1_000, horizon: 0n })).toEqual(['acquired']);
    });

    it('stays unless it is to be consumed', async () => {
      const buffer = await requested();
      await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 2 }, 60_000)], { consume: false, dry: false });
      expect(await pendingOf(buffer, a)).toEqual({ posts: 2n });
      expect(await buffer.dueRecalculations(0, 10)).toEqual([{ target: a, repair: true }]);
    });

    it('is re-armed when the log held what the snapshot did not see', async () => {
      const buffer = await requested();
      await buffer.add(0, intent('60', delta(a, { posts: 1 })));
      const { now } = await buffer.status(0);
      const { wakeUps } = await buffer.finalize(0, 'token', snapshot(50), [recount(a, { posts: 0 }, 60_000)], CONSUME);
      const wakeUp = only(wakeUps.filter(({ kind }) => kind === 'recalculate'));
      expect(wakeUp.at % 600).toBe(0);
      expect(wakeUp.at).toBeGreaterThanOrEqual(now + 60_000);
      expect(await buffer.status(0)).toMatchObject({ recalculations: 1 });
      expect(await buffer.dueRecalculations(0, 10)).toEqual([]);
    });

    it.each<[string, number, number | null]>([
      ['that the snapshot saw', 40, 60_000],
      ['that are never to be recalculated', 60, null],
    ])('is not re-armed for deltas %s', async (_, id, rearmIn) => {
      const buffer = await requested();
      await buffer.add(0, intent(String(id), delta(a, { posts: 1 })));
      await buffer.finalize(0, 'token', snapshot(50), [recount(a, { posts: 0 }, rearmIn)], CONSUME);
      expect(await buffer.status(0)).toMatchObject({ recalculations: 0 });
    });
  });

  describe('a target whose row is absent', () => {
    it('loses everything that is pending, whether it was parked or not', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 3, likes: 1 }, { touches: ['t'] }), delta(b, { posts: 1 })));
      const { id } = await claimAll(buffer);
      await buffer.acknowledge(0, id, [
        { target: a, backoff: 0 },
        { target: b, failed: 'out of range' },
      ]);
      await buffer.add(0, intent('8', delta(c, { posts: 6 })));
      await buffer.requestRepair(0, [a, b], 4n);
      await buffer.acquireLease(0, 'token', [a, b, c], LEASE);
      const { outcomes, wakeUps } = await buffer.finalize(
        0,
        'token',
        LATE,
        [recount(a, null), recount(b, null, 1_000)],
        CONSUME,
      );
      expect(outcomes).toEqual([a, b].map((target) => ({ target, standing: true, known: new Map() })));
      expect(wakeUps).toEqual([]);
      expect([await pendingOf(buffer, a), await pendingOf(buffer, b)]).toEqual([{}, {}]);
      expect(await buffer.status(0)).toMatchObject({ dirty: 1, recalculations: 0, failed: [] });
      await buffer.releaseLease(0, 'token', [c]);
      expect(contents(await claimAll(buffer))).toEqual({ [c]: { posts: 6n } });
      expect(await buffer.acquireLease(0, 'other', [a], { ttl: 1_000, horizon: 0n })).toEqual(['acquired']);
    });

    it('is clean after a finalize that does not consume, too', async () => {
      const buffer = await open();
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await buffer.add(0, intent('7', delta(a, { posts: 3 }, { wait: 0 })));
      await buffer.finalize(0, 'token', LATE, [recount(a, null)], { consume: false, dry: false });
      const { oldestDue, dirty } = await buffer.status(0);
      expect({ oldestDue, dirty }).toEqual({ oldestDue: null, dirty: 0 });
    });
  });
}
