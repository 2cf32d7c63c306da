import type { DeltaBuffer } from '../../../src/engines/buffered/buffer';
import type { WakeUp, TargetDelta } from '../../../src/model/pending';
import { until } from '../../support/until';
import { claimAll, delta, intent, only, type OpenBuffer, row } from './harness';

/** What one confirm returned, and the buffer's clock before and after it. */
interface Told {
  readonly before: number;
  readonly after: number;
  readonly reconcile: readonly WakeUp[];
  readonly recalculate: readonly WakeUp[];
}

let transaction = 100;

async function confirmed(buffer: DeltaBuffer, ...deltas: TargetDelta[]): Promise<Told> {
  const id = String(transaction++);
  const { now: before } = await buffer.status(0);
  await buffer.announce(0, intent(id, ...deltas));
  const { wakeUps } = await buffer.confirm(0, id);
  const { now: after } = await buffer.status(0);
  const of = (kind: WakeUp['kind']): WakeUp[] => wakeUps.filter((wakeUp) => wakeUp.kind === kind);
  return { before, after, reconcile: of('reconcile'), recalculate: of('recalculate') };
}

/** When things are due, and which wake-ups tell so. */
export function describeWakeUps(open: OpenBuffer): void {
  const [a, b] = [row('a'), row('b')];
  const window = 50;

  describe('a due time', () => {
    it('is the end of the window in which the wait ends', async () => {
      const buffer = await open({ window });
      const { before, after, reconcile } = await confirmed(buffer, delta(a, { posts: 1 }, { wait: 1_234 }));
      const { at, delay } = only(reconcile);
      expect(at % window).toBe(0);
      expect(at).toBeGreaterThanOrEqual(before + 1_234);
      expect(at).toBeLessThan(after + 1_234 + window);
      expect(at - delay).toBeGreaterThanOrEqual(before);
      expect(at - delay).toBeLessThanOrEqual(after);
      expect((await buffer.status(0)).oldestDue).toBe(at);
    });

    it('is told once per time, whatever the number of targets', async () => {
      const buffer = await open({ window: 1_000_000 });
      const deltas = Array.from({ length: 50 }, (_, i) => delta(row(i), { posts: 1 }, { wait: 0 }));
      const { reconcile } = await confirmed(buffer, ...deltas, delta(a, { posts: 1 }, { wait: 5_000_000 }));
      expect(reconcile).toHaveLength(2);
    });

    it('only ever moves earlier, and is told again when it does', async () => {
      const buffer = await open({ window });
      const first = only((await confirmed(buffer, delta(a, { posts: 1 }, { wait: 100_000 }))).reconcile);
      expect((await confirmed(buffer, delta(a, { posts: 1 }, { wait: 200_000 }))).reconcile).toEqual([]);
      expect((await buffer.status(0)).oldestDue).toBe(first.at);
      const earlier = only((await confirmed(buffer, delta(a, { posts: 1 }, { wait: 50_000 }))).reconcile);
      expect(earlier.at).toBeLessThan(first.at);
      expect((await buffer.status(0)).oldestDue).toBe(earlier.at);
    });

    it('is told again after a claim', async () => {
      const buffer = await open({ window });
      await confirmed(buffer, delta(a, { posts: 1 }));
      await claimAll(buffer);
      expect((await confirmed(buffer, delta(a, { posts: 1 }))).reconcile).toHaveLength(1);
    });
  });

  describe('flushAt', () => {
    it.each([1, -1])('makes a target due at once when its pending delta reaches it (%s)', async (sign) => {
      const buffer = await open({ window });
      const one = delta(a, { posts: sign }, { flushAt: 3 });
      const later = only((await confirmed(buffer, one)).reconcile);
      expect(later.delay).toBeGreaterThan(10_000);
      expect((await confirmed(buffer, one)).reconcile).toEqual([]);
      const { before, reconcile } = await confirmed(buffer, one);
      const { at, delay } = only(reconcile);
      expect(at % window).toBe(0);
      expect(delay).toBeLessThanOrEqual(0);
      expect(at).toBeGreaterThan(before - window);
      expect((await buffer.claim(0, { select: 'due' }, 10)).batch).not.toBeNull();
    });

    it('of 0 is off', async () => {
      const buffer = await open({ window });
      const { reconcile } = await confirmed(buffer, delta(a, { posts: 1_000_000 }, { flushAt: 0 }));
      expect(only(reconcile).delay).toBeGreaterThan(10_000);
    });

    it('is reached by any column, not by their sum', async () => {
      const buffer = await open({ window });
      const both = { flushAt: 4 };
      await confirmed(buffer, delta(a, { posts: 3, likes: 3 }, both));
      expect((await buffer.claim(0, { select: 'due' }, 10)).batch).toBeNull();
      await confirmed(buffer, delta(a, { posts: 0, likes: 1 }, both));
      expect((await buffer.claim(0, { select: 'due' }, 10)).batch).not.toBeNull();
    });
  });

  describe('the recalculation after writes', () => {
    // A tenth of the delay in whole windows, at least one, at most sixty.
    it.each([
      [0, 50],
      [400, 50],
      [1_700, 150],
      [3_600_000, 3_000],
    ])('in %s ms fires at the end of a window of %s ms', async (recalculateIn, coarse) => {
      const buffer = await open({ window });
      const { before, after, recalculate } = await confirmed(buffer, delta(a, { posts: 1 }, { recalculateIn }));
      const { at, delay } = only(recalculate);
      expect(at % coarse).toBe(0);
      expect(at).toBeGreaterThanOrEqual(before + recalculateIn);
      expect(at).toBeLessThan(after + recalculateIn + coarse);
      expect(at - delay).toBeGreaterThanOrEqual(before);
      expect(at - delay).toBeLessThanOrEqual(after);
    });

    it('counts from the first write that is not yet covered', async () => {
      const buffer = await open({ window });
      await confirmed(buffer, delta(a, { posts: 1 }, { recalculateIn: 100_000 }));
      expect((await confirmed(buffer, delta(a, { posts: 1 }, { recalculateIn: 200_000 }))).recalculate).toEqual([]);
      const { now } = await buffer.status(0);
      await until(async () => (await buffer.status(0)).now > now + window);
      expect((await confirmed(buffer, delta(a, { posts: 1 }, { recalculateIn: 100_000 }))).recalculate).toEqual([]);
      expect(await buffer.status(0)).toMatchObject({ recalculations: 1 });
      expect(await buffer.dueRecalculations(0, 10)).toEqual([]);
    });

    it('is due at the earliest time that a counter asks for', async () => {
      const buffer = await open({ window });
      const later = only((await confirmed(buffer, delta(a, { posts: 1 }, { recalculateIn: 100_000 }))).recalculate);
      const sooner = only((await confirmed(buffer, delta(a, { likes: 1 }, { recalculateIn: 0 }))).recalculate);
      expect(sooner.at).toBeLessThan(later.at);
      expect(await buffer.status(0)).toMatchObject({ recalculations: 1 });
      await until(async () => (await buffer.dueRecalculations(0, 10)).length === 1);
    });

    it('is told once per time, whatever the number of targets', async () => {
      const buffer = await open({ window: 1_000_000 });
      const options = { recalculateIn: 0 };
      const { recalculate } = await confirmed(buffer, delta(a, { posts: 1 }, options), delta(b, { posts: 1 }, options));
      expect(recalculate).toHaveLength(1);
      expect(await buffer.status(0)).toMatchObject({ recalculations: 2 });
    });

    it('is not scheduled when it is off', async () => {
      const buffer = await open({ window });
      expect((await confirmed(buffer, delta(a, { posts: 1 }, { recalculateIn: null }))).recalculate).toEqual([]);
      expect(await buffer.status(0)).toMatchObject({ recalculations: 0 });
    });

    it('neither ends a lease nor raises a barrier', async () => {
      const buffer = await open({ window });
      await buffer.acquireLease(0, 'token', [a], { ttl: 60_000, horizon: 1n });
      await confirmed(buffer, delta(a, { posts: 1 }, { recalculateIn: 0 }));
      expect(await buffer.acquireLease(0, 'other', [a], { ttl: 60_000, horizon: 1n })).toEqual(['held']);
    });
  });
}
