import { encodeColumn, targetTableId, targetId } from '../../../src/model/target';
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
  plain,
  LEASE,
} from './harness';

const HOSTILE = [
  'a:b',
  'a/b',
  'a/@b',
  '@a',
  'a;b',
  'a,b',
  'a%2Fb',
  'a b',
  ' ',
  '',
  "a'b",
  'a"b\\',
  '{a}',
  'a\nb',
  'a\u0000b',
  'é日本🎉',
  '__proto__',
  'constructor',
  '0',
  '-1',
  'nil',
];

/** Nothing in a table, column or key may be mistaken for something else. */
export function describeNames(open: OpenBuffer): void {
  const targets = HOSTILE.flatMap((name) => [
    targetId(targetTableId(name, ['id']), ['1']),
    targetId(targetTableId('t', [name]), [name, '1']),
  ]).map(String);

  it('hostile names of tables and keys stay apart', async () => {
    expect(new Set(targets).size).toBe(targets.length);
    const buffer = await open();
    await buffer.announce(0, intent('7', ...targets.map((target, i) => delta(target, { posts: i + 1 }))));
    await buffer.confirm(0, '7');
    const expected = Object.fromEntries(targets.map((target, i) => [target, { posts: BigInt(i + 1) }]));
    for (const [target, amounts] of Object.entries(expected)) expect(await pendingOf(buffer, target)).toEqual(amounts);
    const batch = await claimAll(buffer);
    expect(new Map(Object.entries(contents(batch)))).toEqual(new Map(Object.entries(expected)));
    await buffer.acknowledge(
      0,
      batch.id,
      targets.slice(1).map((target) => ({ target, backoff: 0 })),
    );
    expect(await pendingOf(buffer, String(targets[0]))).toEqual({});
    const again = contents(await claimAll(buffer));
    expect(Object.keys(again)).toHaveLength(targets.length - 1);
  });

  it.each(HOSTILE.filter((name) => name !== ''))(
    'column %j is counted, touched, logged and recounted',
    async (column) => {
      const buffer = await open();
      const target = String(targets[0]);
      await buffer.acquireLease(0, 'token', [target], LEASE);
      const deltas = [
        delta(
          target,
          {},
          {
            amounts: new Map([
              [column, 3n],
              ['posts', 5n],
            ]),
            touches: [column, encodeColumn(column)],
          },
        ),
      ];
      await buffer.announce(0, intent('60', ...deltas));
      await buffer.confirm(0, '60');
      await buffer.announce(0, intent('40', ...deltas));
      const recounted = { target, missing: new Map([[column, 10n]]), rearmIn: null };
      const { outcomes } = await buffer.finalize(
        0,
        'token',
        { xmin: 50n, xmax: 50n, inProgress: [] },
        [recounted],
        CONSUME,
      );
      expect(outcomes).toEqual([{ target, standing: true, known: new Map([[column, 3n]]) }]);
      await buffer.confirm(0, '40');
      const entry = only((await claimAll(buffer)).entries);
      expect(new Map(Object.entries(plain(entry.amounts)))).toEqual(
        new Map([
          [column, 13n],
          ['posts', 10n],
        ]),
      );
      expect(new Set(entry.touches.keys())).toEqual(new Set([column, encodeColumn(column)]));
    },
  );

  it('reasons of failures are kept as they are', async () => {
    const buffer = await open();
    const target = String(targets[1]);
    for (const reason of HOSTILE) {
      await buffer.add(0, intent('7', delta(target, { posts: 1 })));
      const { id } = await claimAll(buffer);
      await buffer.acknowledge(0, id, [{ target, failed: reason }]);
      expect((await buffer.status(0)).failed).toEqual([{ target, reason }]);
      await buffer.acquireLease(0, 'token', [target], LEASE);
      await buffer.finalize(0, 'token', LATE, [{ target, missing: new Map([['posts', 0n]]), rearmIn: null }], CONSUME);
    }
  });
}
