import { type DeltaBuffer } from '../../../src/engines/buffered/buffer';
import { type TargetDelta } from '../../../src/model/pending';
import { delta, intent, MAX, type OpenBuffer, pendingOf, row, LEASE } from './harness';

/** Intents that come in one turn of the event loop, as those of many writers under one target do, and say the same. */
export function describeAlike(open: OpenBuffer): void {
  const a = row('a');
  const ids = Array.from({ length: 250 }, (_, i) => String(100 + i));

  /** Announces and confirms all of them at once; whether each was found. */
  async function confirmAll(buffer: DeltaBuffer, of: TargetDelta): Promise<boolean[]> {
    await Promise.all(ids.map((id) => buffer.announce(0, intent(id, of))));
    const confirmed = await Promise.all(ids.map((id) => buffer.confirm(0, id)));
    return confirmed.map(({ found }) => found);
  }

  describe('intents that say the same', () => {
    it('all count', async () => {
      const buffer = await open();
      const found = await confirmAll(buffer, delta(a, { posts: 2, likes: -3 }, { touches: ['seenAt'] }));
      expect(found).toEqual(ids.map(() => true));
      expect(await pendingOf(buffer, a)).toEqual({ posts: 500n, likes: -750n });
      expect(await buffer.status(0)).toMatchObject({ intents: 0, dirty: 1 });
      await Promise.all(ids.map((id) => buffer.add(0, intent(id, delta(a, { posts: 1 })))));
      expect(await pendingOf(buffer, a)).toEqual({ posts: 750n, likes: -750n });
    });

    it('count once each, when they are confirmed twice in one turn (I3)', async () => {
      const buffer = await open();
      await buffer.announce(0, intent('7', delta(a, { posts: 1 })));
      const confirmed = await Promise.all([buffer.confirm(0, '7'), buffer.confirm(0, '7'), buffer.confirm(0, '8')]);
      expect(confirmed.map(({ found }) => found)).toEqual([true, false, false]);
      expect(await pendingOf(buffer, a)).toEqual({ posts: 1n });
    });

    it('leave others announced that say the same', async () => {
      const buffer = await open();
      await Promise.all(ids.map((id) => buffer.announce(0, intent(id, delta(a, { posts: 1 })))));
      const [first = '', second = '', ...others] = ids;
      await Promise.all([buffer.confirm(0, first), buffer.discard(0, second)]);
      expect(await buffer.status(0)).toMatchObject({ intents: others.length });
      expect(await pendingOf(buffer, a)).toEqual({ posts: 1n });
    });

    it.each([2n ** 45n + 1n, 2n ** 52n + 1n, 2n ** 53n + 1n])('are exact: %s', async (amount) => {
      const buffer = await open();
      await confirmAll(buffer, delta(a, { posts: amount, likes: -amount }));
      expect(await pendingOf(buffer, a)).toEqual({ posts: amount * 250n, likes: -amount * 250n });
    });

    it('ask for a recalculation when their sum leaves int64', async () => {
      const buffer = await open();
      await confirmAll(buffer, delta(a, { posts: MAX }));
      expect(await buffer.status(0)).toMatchObject({ recalculations: 1 });
    });

    it('are due at once when they reach flushAt together', async () => {
      const buffer = await open();
      await confirmAll(buffer, delta(a, { posts: 1 }, { flushAt: 200 }));
      const { batch } = await buffer.claim(0, { select: 'due' }, 10);
      expect(batch?.entries).toHaveLength(1);
    });

    it('are told apart by a lease: some of them its snapshot has seen', async () => {
      const buffer = await open();
      await buffer.acquireLease(0, 'token', [a], LEASE);
      await confirmAll(buffer, delta(a, { posts: 1 }));
      const seen = { xmin: 200n, xmax: 200n, inProgress: [] };
      const recount = { target: a, missing: new Map([['posts', 0n]]), rearmIn: null };
      await buffer.finalize(0, 'token', seen, [recount], { consume: true, dry: false });
      // Transactions 100 to 199 were counted.
      expect(await pendingOf(buffer, a)).toEqual({ posts: 150n });
    });

    it('drop what is pending when their target was replaced', async () => {
      const buffer = await open();
      await buffer.add(0, intent('7', delta(a, { posts: 1 })));
      await confirmAll(buffer, delta(a, {}, { replaced: true }));
      expect(await pendingOf(buffer, a)).toEqual({});
      expect(await buffer.status(0)).toMatchObject({ recalculations: 1 });
    });
  });
}
