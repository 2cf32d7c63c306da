import type { Known } from '../../../src/engines/buffered/buffer';
import { claimAll, contents, delta, intent, type OpenBuffer, row, STORES, USERS } from './harness';

const store = row(1, STORES);
const a = row('a');
const b = row('b');
const c = row('c');
const ALL = { select: 'dirty', tableIds: null } as const;
const DUE = { select: 'due' } as const;

function knows(columns: readonly string[], touches: readonly string[] = []): Known {
  const all = (names: readonly string[]) => new Map(names.map((name) => [name, null]));
  return new Map([[USERS, { columns: all(columns), touches: all(touches) }]]);
}

/** What a process does not know is left, where it is, for one that does. */
export function describeKnown(open: OpenBuffer): void {
  describe('a claim of what the caller knows', () => {
    it('takes all where it knows all', async () => {
      const buffer = await open();
      await buffer.add(0, intent('1', delta(a, { posts: 1 }, { touches: ['at'] })));
      const claim = await buffer.claim(0, ALL, 10, knows(['posts', 'likes'], ['at']));
      expect(contents(claim.batch)).toEqual({ [a]: { posts: 1n } });
      expect(claim).toMatchObject({ left: null, next: null });
    });

    it('leaves columns, touches and tableIds to others, due as they were', async () => {
      const buffer = await open();
      await buffer.add(0, intent('1', delta(a, { posts: 1, likes: 2 }, { touches: ['at'] })));
      await buffer.add(0, intent('2', delta(b, { likes: 4 }), delta(c, { posts: 8 }), delta(store, { reviews: 16 })));
      const { oldestDue } = await buffer.status(0);
      const claim = await buffer.claim(0, ALL, 10, knows(['posts']));
      expect(contents(claim.batch)).toEqual({ [a]: { posts: 1n }, [c]: { posts: 8n } });
      expect(claim.left).toMatchObject({ targets: 3, inBatch: [a], since: oldestDue, arePutOff: false });
      expect(claim.left?.tableIds.toSorted()).toEqual([STORES, USERS].toSorted());
      expect(await buffer.status(0)).toMatchObject({ dirty: 3, oldestDue });
      const rest = await buffer.claim(0, ALL, 10);
      expect(contents(rest.batch)).toEqual({ [a]: { likes: 2n }, [b]: { likes: 4n }, [store]: { reviews: 16n } });
      expect(rest.batch?.entries.find(({ target }) => target === a)?.touches.has('at')).toBe(true);
      expect(await buffer.status(0)).toMatchObject({ dirty: 0 });
    });

    it('of named targets does the same', async () => {
      const buffer = await open();
      await buffer.add(0, intent('1', delta(a, { posts: 1, likes: 2 }), delta(b, { likes: 4 })));
      const targets = { select: 'targets', targets: [a, b, c] } as const;
      const claim = await buffer.claim(0, targets, 10, knows(['likes']));
      expect(contents(claim.batch)).toEqual({ [a]: { likes: 2n }, [b]: { likes: 4n } });
      expect(claim.left).toMatchObject({ targets: 1, inBatch: [a] });
      expect(contents((await buffer.claim(0, targets, 10, knows(['posts']))).batch)).toEqual({ [a]: { posts: 1n } });
    });

    it('passes over what is left, however much of it is in front, and takes no more than the limit', async () => {
      const buffer = await open({ window: 1 });
      for (let i = 0; i < 25; i++)
        await buffer.add(0, intent(`${i}`, delta(row(i), i % 5 === 0 ? { posts: 1 } : { likes: 1 }, { wait: i })));
      const taken: string[] = [];
      for (let i = 0; i < 3; i++) {
        const { batch, more } = await buffer.claim(0, ALL, 2, knows(['posts']));
        taken.push(...Object.keys(contents(batch)));
        expect(more).toBe(i < 2);
      }
      expect(taken).toEqual([0, 5, 10, 15, 20].map((i) => row(i)));
      expect((await claimAll(buffer)).entries).toHaveLength(20);
    });

    it('tells when something else is due for the caller', async () => {
      const buffer = await open({ window: 1 });
      await buffer.add(0, intent('1', delta(a, { likes: 1 }, { wait: 0 })));
      await buffer.add(0, intent('2', delta(b, { posts: 1 }, { wait: 600_000 })));
      const { now } = await buffer.status(0);
      const claim = await buffer.claim(0, DUE, 10, knows(['posts']));
      expect(claim).toMatchObject({ batch: null, more: false, left: { targets: 1, inBatch: [] } });
      expect(claim.next).toBeGreaterThan(now + 500_000);
    });

    it('puts off what is left once there is very much of it', async () => {
      const buffer = await open({ window: 1 });
      const deltas = Array.from({ length: 5_000 }, (_, i) => delta(row(i), { likes: 1 }, { wait: 0 }));
      await buffer.add(0, intent('1', ...deltas));
      await buffer.add(0, intent('2', delta(a, { posts: 1 }, { wait: 0 })));
      const first = await buffer.claim(0, DUE, 1_000, knows(['posts']));
      expect(first).toMatchObject({ more: true, left: { targets: 5_000, arePutOff: true } });
      const second = await buffer.claim(0, DUE, 1_000, knows(['posts']));
      expect([...Object.keys(contents(first.batch)), ...Object.keys(contents(second.batch))]).toEqual([a]);
      expect(second.left).toBeNull();
      expect((await buffer.claim(0, DUE, 1_000)).batch).toBeNull();
      expect((await buffer.claim(0, ALL, 1_000)).batch?.entries).toHaveLength(1_000);
    });

    it('says when there is no epoch to claim under', async () => {
      const buffer = await open({ epoch: null });
      expect(await buffer.claim(0, ALL, 10)).toMatchObject({ isLost: true });
      await buffer.raiseEpoch(0, 1);
      expect(await buffer.claim(0, ALL, 10)).toMatchObject({ isLost: false });
    });
  });
}
