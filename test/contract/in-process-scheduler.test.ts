import { setTimeout as delay } from 'node:timers/promises';

import { InProcessScheduler } from '../../src/jobs/in-process/in-process-scheduler';
import { describeScheduler } from './scheduler.contract';
import { alarm, ATTEMPTS, Probe } from './scheduler/harness';

describeScheduler('InProcessScheduler', async () => {
  const errors: unknown[] = [];
  const scheduler = new InProcessScheduler({ onError: (error) => errors.push(error), attempts: ATTEMPTS, backoff: 2 });
  return { another: () => scheduler, errors, waiting: async () => null, cleanup: () => scheduler.close() };
});

describe('the timers of InProcessScheduler', () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

  it('never keep the process alive', async () => {
    const scheduler = new InProcessScheduler();
    const before = timers();
    await scheduler.schedule([alarm({ delay: 100_000 }), alarm()]);
    expect(timers()).toBe(before);
    await scheduler.close();
  });

  it('reach further than a timer can', async () => {
    const [scheduler, probe] = [new InProcessScheduler(), new Probe()];
    await scheduler.start(probe.handler, { concurrency: 1 });
    await scheduler.schedule([alarm({ delay: 2 ** 31 + 5 })]);
    await delay(30);
    expect(probe.rung).toEqual([]);
    await scheduler.close();
  });

  it('ring nothing after close', async () => {
    const [scheduler, probe] = [new InProcessScheduler(), new Probe()];
    await scheduler.start(probe.handler, { concurrency: 1 });
    await scheduler.schedule([alarm({ delay: 5 })]);
    await scheduler.close();
    await delay(30);
    expect(probe.rung).toEqual([]);
  });

  it('report errors as process warnings unless told otherwise', async () => {
    const scheduler = new InProcessScheduler({ attempts: 1 });
    const warned = new Promise((resolve) => process.once('warning', resolve));
    await scheduler.start(async () => Promise.reject(new Error('handler broke')), { concurrency: 1 });
    await scheduler.schedule([alarm()]);
    expect(String(await warned)).toBe('Error: handler broke');
    await scheduler.close();
  });
});
