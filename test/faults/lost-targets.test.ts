import type { DeltaBuffer } from 'typeorm-counter-cache';

import { LostTargets } from '../../src/publish/lost-targets';
import { MemoryBuffer } from '../../src/engines/buffered/memory/memory-buffer';
import { until } from '../support/until';

const schedule = async (): Promise<void> => undefined;

describe('targets whose delta could not be handed over', () => {
  test('that come while the last request is ending are requested as well', async () => {
    const buffer = new MemoryBuffer({ shards: 2 });
    const late = [{ target: 'author:id:2', repair: false }];
    const lost = new LostTargets({
      destination: async () => ({ buffer, schedule }),
      barrier: async () => 0n,
      maxPendingRepairs: 10,
      onRecovered: () => lost.add(1, late.splice(0)),
      onError: (error) => {
        throw error;
      },
    });
    lost.add(0, [{ target: 'author:id:1', repair: false }]);
    // Whoever calls settled() or close() would start another attempt; here nobody does.
    const requested = async (shard: number) => (await buffer.dueRecalculations(shard, 10)).map(({ target }) => target);
    await until(async () => (await requested(1)).length > 0, 1_000);
    expect([await requested(0), await requested(1)]).toEqual([['author:id:1'], ['author:id:2']]);
    expect(await lost.close()).toEqual([]);
  });

  test('that are too many are forgotten; those that are known are not, though they come behind them', async () => {
    const requests: unknown[] = [];
    const requestRepair = async (...request: unknown[]): Promise<[]> => {
      requests.push(request);
      return [];
    };
    const errors: unknown[] = [];
    let answers = false;
    const lost = new LostTargets({
      destination: async () => {
        if (!answers) throw new Error('out of reach');
        return { buffer: { requestRepair } as unknown as DeltaBuffer, schedule };
      },
      barrier: async () => 7n,
      maxPendingRepairs: 2,
      onRecovered: () => undefined,
      onError: (error) => errors.push(error),
    });
    const [known, other, many] = ['author:id:1', 'author:id:2', 'author:id:3'];
    lost.add(0, [
      { target: known, repair: false },
      { target: other, repair: false },
    ]);
    lost.add(0, [
      { target: many, repair: false },
      { target: known, repair: true },
    ]);
    answers = true;
    await lost.settled();
    // The barrier is for what was asked of the known one last.
    expect(requests).toEqual([[0, [known, other], 7n]]);
    expect(errors).toMatchObject([{ code: 'BUFFER_UNAVAILABLE' }]);
    expect(await lost.close()).toEqual([]);
  });

  test.each(['fails', 'succeeds'])(
    'are asked for no more once they are given away: the last attempt %s later',
    async (how) => {
      let attempts = 0;
      let settle: (reason: Error | null) => void = () => undefined;
      const requestRepair = (): Promise<[]> =>
        new Promise((resolve, reject) => {
          attempts += 1;
          settle = (reason) => (reason === null ? resolve([]) : reject(reason));
        });
      const lost = new LostTargets({
        destination: async () => ({ buffer: { requestRepair } as unknown as DeltaBuffer, schedule }),
        barrier: async () => 0n,
        maxPendingRepairs: 10,
        onRecovered: () => undefined,
        onError: (error) => {
          throw error;
        },
      });
      jest.useFakeTimers();
      try {
        lost.add(0, [{ target: 'author:id:1', repair: false }]);
        const left = lost.close();
        await jest.advanceTimersByTimeAsync(5_000);
        expect(await left).toEqual(['author:id:1']);
        settle(how === 'fails' ? new Error('no answer') : null);
        await jest.advanceTimersByTimeAsync(60_000);
        expect([attempts, jest.getTimerCount(), lost.size]).toEqual([1, 0, 0]);
        await lost.settled();
      } finally {
        jest.useRealTimers();
      }
    },
  );
});
