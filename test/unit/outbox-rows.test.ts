import type { TargetDelta } from '../../src/model/pending';
import { outboxRows } from '../../src/capture/inline-outbox/outbox-rows';

const DELTA: TargetDelta = {
  target: 'author:id:1',
  amounts: new Map([
    ['posts', 2n],
    ['likes', -3n],
  ]),
  touches: ['updatedAt'],
  wait: 10,
  flushAt: 5,
  recalculateIn: 1_000,
  replaced: false,
  repair: false,
};

const REPAIR = { column: null, amount: 0n, touches: [], wait: 0, repair: true };

describe('outboxRows', () => {
  it('makes one row per column', () => {
    expect(outboxRows([DELTA], 4)).toEqual([
      expect.objectContaining({
        target: 'author:id:1',
        column: 'posts',
        amount: 2n,
        touches: ['updatedAt'],
        repair: false,
      }),
      expect.objectContaining({ column: 'likes', amount: -3n, wait: 10, flushAt: 5, recalculateIn: 1_000 }),
    ]);
  });

  it.each(['replaced', 'repair'] as const)('adds a row that asks for a repair: %s', (flag) => {
    const rows = outboxRows([{ ...DELTA, [flag]: true }], 4);
    expect(rows.map(({ column }) => column)).toEqual(['posts', 'likes', null]);
    expect(rows.at(-1)).toMatchObject(REPAIR);
  });

  it('keeps a touch without any amount', () => {
    const rows = outboxRows([{ ...DELTA, amounts: new Map(), repair: true }], 4);
    expect(rows).toEqual([
      expect.objectContaining({ column: null, amount: 0n, touches: ['updatedAt'], repair: false }),
      expect.objectContaining(REPAIR),
    ]);
  });

  it.each([2n ** 63n, -(2n ** 63n) - 1n])('asks for a recalculation instead of an amount of %s', (amount) => {
    const amounts = new Map([
      ['posts', amount],
      ['likes', 1n],
    ]);
    const rows = outboxRows([{ ...DELTA, amounts }], 4);
    expect(rows.map(({ column, repair }) => [column, repair])).toEqual([
      ['likes', false],
      [null, true],
    ]);
  });

  it('writes the largest amounts of 64 bits as they are', () => {
    const amounts = new Map([
      ['posts', 2n ** 63n - 1n],
      ['likes', -(2n ** 63n)],
    ]);
    expect(outboxRows([{ ...DELTA, amounts }], 4).every(({ repair }) => !repair)).toBe(true);
  });
});
