import { ownAlarm } from '../../../src/model/own-alarm';

beforeEach(() => jest.useFakeTimers({ now: 10_400 }));
afterEach(() => jest.useRealTimers());

const alarm = (delay: number) => ownAlarm('reconcile', 3, delay, 1_000);

test('without a delay it rings now, and is the same for the whole window', () => {
  const first = alarm(0);
  expect(first).toEqual({ kind: 'reconcile', shard: 3, at: 10_000, delay: -400 });
  jest.setSystemTime(10_999);
  expect(alarm(0).at).toBe(first.at);
  jest.setSystemTime(11_000);
  expect(alarm(0)).toEqual({ kind: 'reconcile', shard: 3, at: 11_000, delay: 0 });
});

test('with a delay it rings at the end of the window in which it is due', () => {
  expect(alarm(600)).toEqual({ kind: 'reconcile', shard: 3, at: 11_000, delay: 600 });
  expect(alarm(601)).toEqual({ kind: 'reconcile', shard: 3, at: 12_000, delay: 1_600 });
});
