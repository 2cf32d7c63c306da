import { amounts, claimAll, delta, intent, LATE, type OpenBuffer, pendingOf, recount, row, LEASE } from './harness';

/** Forgetting everything. */
export function describeClearing(open: OpenBuffer): void {
  const [a, b, c] = [row('a'), row('b'), row('c')];

  /** Something of each sort in one shard: pending, claimed, announced, parked, requested, leased. */
  async function full() {
    const buffer = await open({ shards: 2 });
    await buffer.add(0, intent('7', delta(a, { posts: 1 }), delta(b, { posts: 2 })));
    const first = await claimAll(buffer);
    await buffer.acknowledge(0, first.id, [{ target: b, failed: 'out of range' }]);
    await buffer.add(0, intent('8', delta(a, { posts: 4 }, { recalculateIn: 60_000 })));
    const batch = await claimAll(buffer);
    await buffer.add(0, intent('9', delta(a, { posts: 8 })));
    await buffer.announce(0, intent('10', delta(c, { posts: 16 })));
    await buffer.requestRepair(0, [c], 3n);
    await buffer.acquireLease(0, 'token', [b], LEASE);
    return { buffer, batch };
  }

  describe('clear', () => {
    const EMPTY = { dirty: 0, oldestDue: null, batches: 0, intents: 0, recalculations: 0, repairs: 0, failed: [] };

    it('forgets whatever the shard holds, and gives it the epoch', async () => {
      const { buffer } = await full();
      expect(await buffer.status(0)).toMatchObject({ dirty: 1, batches: 1, intents: 1, recalculations: 2, repairs: 1 });
      await buffer.clear(0, 5);
      expect(await buffer.status(0)).toMatchObject(EMPTY);
      expect(await buffer.epoch(0)).toBe(5);
      for (const target of [a, b, c]) expect(await pendingOf(buffer, target)).toEqual({});
    });

    it('leaves nothing that what comes late could bring back', async () => {
      const { buffer, batch } = await full();
      await buffer.clear(0, 5);
      expect(await buffer.confirm(0, '10')).toMatchObject({ found: false });
      expect(await buffer.acknowledge(0, batch.id, [{ target: a, backoff: 0 }])).toMatchObject({ found: false });
      const late = await buffer.finalize(0, 'token', LATE, [recount(b, { posts: 9 })], { consume: true, dry: false });
      expect(late.outcomes).toMatchObject([{ standing: false }]);
      expect(await buffer.status(0)).toMatchObject(EMPTY);
    });

    it('leaves other shards alone, and the shard of use', async () => {
      const { buffer } = await full();
      await buffer.add(1, intent('7', delta(a, { posts: 1 })));
      await buffer.clear(0, 5);
      expect(await buffer.status(1)).toMatchObject({ dirty: 1 });
      await buffer.add(0, intent('11', delta(a, { posts: 3 })));
      const { batch } = await buffer.claim(0, { select: 'dirty', tableIds: null }, 10);
      expect(batch).toMatchObject({ epoch: 5, entries: [{ target: a, amounts: amounts({ posts: 3 }) }] });
    });
  });
}
