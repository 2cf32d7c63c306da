import { InProcessScheduler } from '../../src/schedule/in-process/in-process-scheduler';
import { describeScheduler } from './scheduler.contract';
import { wakeUp, ATTEMPTS, Probe } from './scheduler/harness';
import { until } from '../support/until';

describeScheduler('InProcessScheduler', async () => {
  const errors: unknown[] = [];
  const scheduler = new InProcessScheduler({ onError: (error) => errors.push(error), attempts: ATTEMPTS, backoff: 2 });
  return { another: () => scheduler, errors, waiting: async () => null, cleanup: () => scheduler.close() };
});

describe('the timers of InProcessScheduler', () => {
  afterEach(() => jest.useRealTimers());

  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

  it('never keep the process alive', async () => {
    const scheduler = new InProcessScheduler();
    const before = timers();
    await scheduler.schedule([wakeUp({ delay: 100_000 }), wakeUp()]);
    expect(timers()).toBe(before);
    await scheduler.close();
  });

  it('reach further than a timer can', async () => {
    jest.useFakeTimers();
    const [scheduler, probe] = [new InProcessScheduler(), new Probe()];
    await scheduler.start(probe.handler, { concurrency: 1 });
    await scheduler.schedule([wakeUp({ delay: 2 ** 31 + 5 })]);
    await jest.advanceTimersByTimeAsync(2 ** 31);
    expect(probe.fired).toEqual([]);
    await jest.advanceTimersByTimeAsync(6);
    expect(probe.fired).toHaveLength(1);
    await scheduler.close();
  });

  it('fire no wake-up before it is due, as timers may', async () => {
    jest.useFakeTimers();
    const [scheduler, probe] = [new InProcessScheduler(), new Probe()];
    await scheduler.start(probe.handler, { concurrency: 1 });
    await scheduler.schedule([wakeUp({ delay: 10 })]);
    const now = performance.now();
    const clock = jest.spyOn(performance, 'now').mockReturnValue(now + 9.4);
    await jest.advanceTimersByTimeAsync(10);
    expect(probe.fired).toEqual([]);
    clock.mockReturnValue(now + 10.4);
    await jest.advanceTimersByTimeAsync(1);
    expect(probe.fired).toHaveLength(1);
    clock.mockRestore();
    await scheduler.close();
  });

  it('fire nothing after close', async () => {
    jest.useFakeTimers();
    const [scheduler, probe] = [new InProcessScheduler(), new Probe()];
    await scheduler.start(probe.handler, { concurrency: 1 });
    await scheduler.schedule([wakeUp({ delay: 5 })]);
    await scheduler.close();
    await jest.advanceTimersByTimeAsync(1_000);
    expect(probe.fired).toEqual([]);
  });

  it('report errors as process warnings unless told otherwise', async () => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const scheduler = new InProcessScheduler({ attempts: 1 });
    await scheduler.start(async () => Promise.reject(new Error('handler broke')), { concurrency: 1 });
    await scheduler.schedule([wakeUp()]);
    await until(() => emitWarning.mock.calls.length > 0);
    expect(emitWarning.mock.calls).toEqual([[expect.stringContaining('handler broke'), 'CounterCacheWarning']]);
    emitWarning.mockRestore();
    await scheduler.close();
  });
});
