import { WakeUpMemory } from '../../src/schedule/bullmq/wake-up-memory';

function setup() {
  let now = 1_000;
  const adds: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];
  const memory = new WakeUpMemory(() => now);
  const add = (): Promise<void> => new Promise((resolve, reject) => void adds.push({ resolve, reject }));
  const once = (delay: number, id = 'reconcile-0-1'): Promise<void> => memory.once(id, delay, add);
  return {
    once,
    adds,
    pass: (ms: number) => (now += ms),
    flush: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

afterEach(() => jest.useRealTimers());

describe('a delayed wake-up', () => {
  it('is added once until its time has come', async () => {
    const { once, adds, pass } = setup();
    const both = Promise.all([once(100), once(60)]);
    expect(adds).toHaveLength(1);
    adds[0]?.resolve();
    await both;
    pass(99);
    await once(1);
    expect(adds).toHaveLength(1);
    pass(1);
    void once(1);
    expect(adds).toHaveLength(2);
  });

  it('is added again when its time has come, though the wall clock was set back', async () => {
    jest.useFakeTimers({ now: 10_000, doNotFake: ['setImmediate'] });
    const memory = new WakeUpMemory();
    const add = jest.fn(async () => undefined);
    await memory.once('reconcile-0-1', 100, add);
    jest.setSystemTime(1_000);
    await memory.once('reconcile-0-1', 1, add);
    expect(add).toHaveBeenCalledTimes(1);
    jest.advanceTimersByTime(100);
    await memory.once('reconcile-0-1', 1, add);
    expect(add).toHaveBeenCalledTimes(2);
  });

  it('is added again after a failure, which everybody hears of', async () => {
    const { once, adds } = setup();
    const both = [once(100), once(100)];
    adds[0]?.reject(new Error('down'));
    for (const one of both) await expect(one).rejects.toThrow('down');
    void once(100);
    expect(adds).toHaveLength(2);
  });

  it('is forgotten when there are too many', () => {
    const { once, adds } = setup();
    for (let i = 0; i < 10_001; i++) void once(100, `reconcile-0-${i}`);
    void once(100, 'reconcile-0-10000');
    expect(adds).toHaveLength(10_001);
    void once(100, 'reconcile-0-0');
    expect(adds).toHaveLength(10_002);
  });
});

describe('a wake-up that is due now', () => {
  it('is added again, once for all that come while an add is on its way', async () => {
    const { once, adds, flush } = setup();
    const first = once(0);
    const others = Promise.all([once(-5), once(0), once(-1)]);
    expect(adds).toHaveLength(1);
    adds[0]?.resolve();
    await first;
    await flush();
    expect(adds).toHaveLength(2);
    const later = once(0);
    adds[1]?.resolve();
    await others;
    await flush();
    expect(adds).toHaveLength(3);
    adds[2]?.resolve();
    await later;
    await flush();
    void once(0);
    expect(adds).toHaveLength(4);
  });

  it('is added even if it was remembered as delayed, and after a failure', async () => {
    const { once, adds, flush } = setup();
    void once(100);
    const now = once(0);
    expect(adds).toHaveLength(2);
    const next = once(0);
    adds[1]?.reject(new Error('down'));
    await expect(now).rejects.toThrow('down');
    await flush();
    expect(adds).toHaveLength(3);
    adds[2]?.resolve();
    await next;
  });
});
