import { ownWakeUp } from '../../../src/model/own-wake-up';

beforeEach(() => jest.useFakeTimers({ now: 10_400 }));
afterEach(() => jest.useRealTimers());

const wakeUp = (delay: number) => ownWakeUp('reconcile', 3, delay, 1_000);

test('without a delay it fires now, and is the same for the whole window', () => {
  const first = wakeUp(0);
  expect(first).toEqual({ kind: 'reconcile', shard: 3, at: 10_000, delay: -400 });
  jest.setSystemTime(10_999);
  expect(wakeUp(0).at).toBe(first.at);
  jest.setSystemTime(11_000);
  expect(wakeUp(0)).toEqual({ kind: 'reconcile', shard: 3, at: 11_000, delay: 0 });
});

test('with a delay it fires at the end of the window in which it is due', () => {
  expect(wakeUp(600)).toEqual({ kind: 'reconcile', shard: 3, at: 11_000, delay: 600 });
  expect(wakeUp(601)).toEqual({ kind: 'reconcile', shard: 3, at: 12_000, delay: 1_600 });
});
