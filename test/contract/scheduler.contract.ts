import {
  wakeUp,
  ATTEMPTS,
  type CreateSchedulers,
  isPending,
  Probe,
  firedTimes,
  type SchedulerSetup,
  settled,
} from './scheduler/harness';
import { turns } from '../support/turns';
import { until } from '../support/until';

/** What every `Scheduler` must do. `create` makes a group of schedulers that shares nothing with any other. */
export function describeScheduler(name: string, create: CreateSchedulers): void {
  describe(name, () => {
    let setup: SchedulerSetup;
    beforeEach(async () => {
      setup = await create();
    });
    afterEach(() => setup.cleanup());

    describe('a wake-up', () => {
      it('fires once, however often and by however many it is scheduled', async () => {
        const schedulers = [setup.another(), setup.another(), setup.another()];
        const [probe, one] = [new Probe(), wakeUp({ kind: 'recalculate', shard: 3 })];
        await Promise.all(
          Array.from({ length: 100 }, (_, i) => (schedulers[i % 3] ?? setup.another()).schedule([one, one])),
        );
        expect([1, null]).toContain(await setup.waiting());
        const scheduler = setup.another();
        await scheduler.start(probe.handler, { concurrency: 4 });
        await settled(scheduler, probe);
        expect(probe.fired[0]).toEqual({ kind: 'recalculate', shard: 3, at: one.at });
        expect(firedTimes(probe)).toEqual([one.at]);
      });

      it('is told apart by kind, shard and time', async () => {
        const [scheduler, probe, one] = [setup.another(), new Probe(), wakeUp()];
        const others = [
          { ...one, kind: 'recalculate' as const },
          { ...one, shard: 1 },
          { ...one, at: one.at + 1_000_000 },
        ];
        await scheduler.schedule([one, ...others]);
        await scheduler.start(probe.handler, { concurrency: 1 });
        await settled(scheduler, probe);
        const text = (of: object[]): string[] => of.map(({ ...fired }) => JSON.stringify(fired)).toSorted();
        const expected = [one, ...others].map(({ kind, shard, at }) => ({ kind, shard, at }));
        expect(text(probe.fired.filter(({ shard }) => shard !== 99))).toEqual(text(expected));
      });

      it('fires after its delay, not before', async () => {
        const [scheduler, probe] = [setup.another(), new Probe()];
        await scheduler.start(probe.handler, { concurrency: 1 });
        const [later, soon, past] = [wakeUp({ delay: 1_500 }), wakeUp({ delay: 750 }), wakeUp({ delay: -5_000 })];
        const from = performance.now();
        await scheduler.schedule([later, soon, past]);
        await probe.calls(2);
        expect(performance.now() - from).toBeGreaterThanOrEqual(749);
        await probe.calls(3);
        expect(performance.now() - from).toBeGreaterThanOrEqual(1_499);
        expect(firedTimes(probe)).toEqual([past.at, soon.at, later.at]);
      });

      it('waits for somebody to start', async () => {
        const [scheduler, probe, one] = [setup.another(), new Probe(), wakeUp({ delay: 5 })];
        const from = performance.now();
        await scheduler.schedule([one]);
        await until(() => performance.now() > from + 10);
        await scheduler.start(probe.handler, { concurrency: 1 });
        await probe.calls(1);
      });

      it('that is due now fires again when it is scheduled after it has fired', async () => {
        const [scheduler, probe, one] = [setup.another(), new Probe(), wakeUp()];
        await scheduler.start(probe.handler, { concurrency: 1 });
        for (let count = 1; count <= 5; count++) {
          await scheduler.schedule([one]);
          await probe.calls(count);
          await settled(scheduler, probe);
        }
        expect(firedTimes(probe)).toEqual(Array.from({ length: 5 }, () => one.at));
      });

      it('scheduled while it is active fires once more', async () => {
        const [scheduler, other, probe, one] = [setup.another(), setup.another(), new Probe(), wakeUp()];
        probe.hold();
        await scheduler.start(probe.handler, { concurrency: 4 });
        await scheduler.schedule([one]);
        await probe.calls(1);
        for (let i = 0; i < 5; i++) await Promise.all([scheduler.schedule([one]), other.schedule([one])]);
        probe.release();
        await probe.calls(2);
        await settled(scheduler, probe);
        expect(firedTimes(probe)).toEqual([one.at, one.at]);
        expect(probe.mostActive).toBe(1);
      });

      it('is not lost when it is scheduled at any moment of a run', async () => {
        const [scheduler, probe, one] = [setup.another(), new Probe(), wakeUp()];
        let dirty = 0;
        const handler = async (fired: Parameters<typeof probe.handler>[0]): Promise<void> => {
          await turns(2);
          dirty = 0;
          await probe.handler(fired);
          await turns(2);
        };
        await scheduler.start(handler, { concurrency: 2 });
        for (let i = 0; probe.fired.length < 50 && i < 100_000; i++) {
          dirty++;
          await scheduler.schedule([one]);
          await turns(i % 5);
        }
        await until(() => dirty === 0);
        expect(probe.fired.length).toBeGreaterThanOrEqual(50);
      });
    });

    describe('a handler', () => {
      it('that throws is reported, and called again', async () => {
        const [scheduler, probe, one] = [setup.another(), new Probe(), wakeUp()];
        const failing = async (fired: Parameters<typeof probe.handler>[0]): Promise<void> => {
          await probe.handler(fired);
          if (probe.fired.length < ATTEMPTS) throw new Error(`attempt ${probe.fired.length}`);
        };
        await scheduler.start(failing, { concurrency: 1 });
        await scheduler.schedule([one]);
        await probe.calls(ATTEMPTS);
        await until(() => setup.errors.length === ATTEMPTS - 1);
        expect(setup.errors.map(String)).toEqual(['Error: attempt 1', 'Error: attempt 2']);
        await settled(scheduler, probe);
        expect(firedTimes(probe)).toHaveLength(ATTEMPTS);
      });

      it('that throws each time is given up after some attempts; the wake-up may fire again', async () => {
        const [scheduler, probe, one] = [setup.another(), new Probe(), wakeUp()];
        let broken = true;
        const handler = async (fired: Parameters<typeof probe.handler>[0]): Promise<void> => {
          await probe.handler(fired);
          if (broken && fired.shard !== 99) throw new Error('always');
        };
        await scheduler.start(handler, { concurrency: 1 });
        await scheduler.schedule([one]);
        await until(() => setup.errors.length === ATTEMPTS);
        await settled(scheduler, probe);
        expect(firedTimes(probe)).toHaveLength(ATTEMPTS);
        broken = false;
        await scheduler.schedule([one]);
        await until(() => firedTimes(probe).length === ATTEMPTS + 1);
        expect(setup.errors).toHaveLength(ATTEMPTS);
      });

      it('runs as often at once as its worker allows', async () => {
        const [scheduler, probe] = [setup.another(), new Probe()];
        probe.hold();
        await scheduler.schedule(Array.from({ length: 6 }, () => wakeUp()));
        await scheduler.start(probe.handler, { concurrency: 2 });
        await probe.calls(2);
        expect(await isPending(probe.calls(3))).toBe(true);
        probe.release();
        await probe.calls(6);
        expect(probe.mostActive).toBe(2);
      });
    });

    it('two workers share the wake-ups, each of which fires once', async () => {
      const [one, two] = [new Probe(), new Probe()];
      const scheduler = setup.another();
      one.hold();
      two.hold();
      await scheduler.start(one.handler, { concurrency: 1 });
      await setup.another().start(two.handler, { concurrency: 1 });
      const wakeUps = Array.from({ length: 20 }, () => wakeUp());
      await scheduler.schedule(wakeUps);
      await Promise.all([one.calls(1), two.calls(1)]);
      one.release();
      two.release();
      await until(() => one.fired.length + two.fired.length === wakeUps.length);
      const fired = [...firedTimes(one), ...firedTimes(two)];
      expect(fired).toHaveLength(wakeUps.length);
      expect(new Set(fired)).toEqual(new Set(wakeUps.map(({ at }) => at)));
    });

    describe('a closed worker', () => {
      it('has finished what was active, and takes no more', async () => {
        const [scheduler, probe, next] = [setup.another(), new Probe(), new Probe()];
        probe.hold();
        const worker = await scheduler.start(probe.handler, { concurrency: 1 });
        const [first, second] = [wakeUp(), wakeUp()];
        await scheduler.schedule([first]);
        await probe.calls(1);
        await scheduler.schedule([second]);
        const closed = Promise.all([worker.close(), worker.close()]);
        expect(await isPending(closed)).toBe(true);
        probe.release();
        await closed;
        expect(probe.active).toBe(0);
        await scheduler.start(next.handler, { concurrency: 1 });
        await next.calls(1);
        expect(probe.fired.map(({ at }) => at)).toEqual([first.at]);
        expect(next.fired.map(({ at }) => at)).toEqual([second.at]);
        await worker.close();
      });

      it('does not wait when it is forced to', async () => {
        const [scheduler, probe] = [setup.another(), new Probe()];
        probe.hold();
        const worker = await scheduler.start(probe.handler, { concurrency: 1 });
        await scheduler.schedule([wakeUp()]);
        await probe.calls(1);
        await worker.close(true);
        expect(probe.active).toBe(1);
        await worker.close(true);
        await worker.close();
        probe.release();
      });

      it('does not wait any longer when it is forced to later', async () => {
        const [scheduler, probe] = [setup.another(), new Probe()];
        probe.hold();
        const worker = await scheduler.start(probe.handler, { concurrency: 1 });
        await scheduler.schedule([wakeUp()]);
        await probe.calls(1);
        const graceful = worker.close();
        expect(await isPending(graceful)).toBe(true);
        await worker.close(true);
        await graceful;
        expect(probe.active).toBe(1);
        probe.release();
      });

      it('closes at once when nothing is active', async () => {
        const scheduler = setup.another();
        const worker = await scheduler.start(new Probe().handler, { concurrency: 1 });
        await worker.close();
        const other = await scheduler.start(new Probe().handler, { concurrency: 1 });
        await other.close(true);
      });
    });

    describe('a closed scheduler', () => {
      it('has closed its workers, and refuses work', async () => {
        const [scheduler, probe] = [setup.another(), new Probe()];
        probe.hold();
        await scheduler.start(probe.handler, { concurrency: 1 });
        await scheduler.schedule([wakeUp()]);
        await probe.calls(1);
        const closed = Promise.all([scheduler.close(), scheduler.close()]);
        expect(await isPending(closed)).toBe(true);
        probe.release();
        await closed;
        await scheduler.close();
        await expect(scheduler.schedule([wakeUp()])).rejects.toMatchObject({ code: 'CLOSED' });
        await expect(scheduler.start(probe.handler, { concurrency: 1 })).rejects.toMatchObject({ code: 'CLOSED' });
      });

      it('that never did anything closes', async () => {
        await setup.another().close();
      });
    });
  });
}
