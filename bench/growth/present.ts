import type { Results, ResultTable, Summary, Target } from '../benchmark';
import { count, growth, MIB } from '../format';
import { median } from '../statistics';
import type { Measured } from './measure-size';

/** The longest that the worker's event loop may stand still, ms. */
const PAUSE_TARGET = 50;
/** The longest that a statement may run, ms. */
const STATEMENT_TARGET = 1_000;
/** MiB by which the worker may grow. */
const GROWTH_TARGET = 200;

/** The figures as tables. */
export function summarize(measured: readonly Measured[]): Summary {
  return {
    table: tableOf(measured),
    charts: [
      {
        title: 'What a dirty target costs, by the number of dirty targets',
        values: 'µs per target',
        form: 'lines',
        categories: measured.map(({ targets }) => count(targets)),
        series: [
          { name: 'made dirty', values: measured.map((one) => micros(one).madeDirty) },
          { name: 'applied by one worker', values: measured.map((one) => micros(one).applied) },
        ],
        isLogarithmic: true,
      },
    ],
  };
}

/** The figures, and what was aimed at. */
export function present(measured: readonly Measured[]): Results<readonly Measured[]> {
  return {
    targets: measured.slice(-1).map(targetOf),
    notes: [
      'Made dirty by updates of 5,000 sources each, in buffered mode, four at a time: captured, announced before COMMIT, and confirmed. The time includes the UPDATE of the sources. Applied by one worker process with the default batch of 1,000 targets and the default concurrency of 4 shards, from its start until nothing is dirty and nothing claimed. Times are medians over samples of the same targets in the same process; of 1,000,000 there is one sample. At 1,000 targets the start of the worker is most of the time.',
      'Redis: used_memory after the last confirm, less used_memory before the first write, divided by the number of targets, at the first time that these targets become dirty: each is pending, due, and waits for its recalculation. Of few targets most of it is scripts and buffers, which are there once.',
      'Worker: memory at its largest since the process was ready, less what it had then. A pause is the longest time in which the event loop did not turn; a statement lasts from its call to its answer, in the worker. All are the worst of all samples, and on a machine that has other work to do, most of a long one is waiting for a processor.',
    ],
    figures: measured,
  };
}

/** Of the largest size. */
function targetOf(measured: Measured): Target {
  const { targets, samples, wrong } = measured;
  const [memory, statement, pause] = (['growth', 'statement', 'pause'] as const).map((figure) =>
    worst(samples, figure),
  ) as [number, number, number];
  const failures = worst(samples, 'failures');
  return {
    what: `${count(targets)} dirty targets drained by one worker: growth of its memory, longest statement, longest pause, failures`,
    bound: `≤ ${GROWTH_TARGET} MiB, ${STATEMENT_TARGET} ms, ${PAUSE_TARGET} ms, 0`,
    measured: `${growth(memory)}, ${statement.toFixed(0)} ms, ${pause.toFixed(0)} ms, ${failures + wrong}`,
    isMet: isWithin(measured),
  };
}

type Worst = 'growth' | 'statement' | 'pause' | 'jobs' | 'failures';

function worst(samples: Measured['samples'], figure: Worst): number {
  return Math.max(...samples.map((sample) => sample[figure]));
}

function isWithin({ samples, wrong }: Measured): boolean {
  return (
    worst(samples, 'growth') <= GROWTH_TARGET * MIB &&
    worst(samples, 'statement') <= STATEMENT_TARGET &&
    worst(samples, 'pause') <= PAUSE_TARGET &&
    worst(samples, 'failures') + wrong === 0
  );
}

function tableOf(measured: readonly Measured[]): ResultTable {
  return {
    title: 'Per dirty target, and the worker process at its worst',
    columns: [
      'targets',
      'samples',
      'made dirty',
      'applied',
      'applied per second',
      'Redis',
      'memory',
      'longest statement',
      'longest pause',
      'jobs',
      'failures',
      'wrong',
      'within targets',
    ],
    rows: measured.map((one) => {
      const { targets, samples, wrong } = one;
      const { madeDirty, applied } = micros(one);
      return [
        count(targets),
        String(samples.length),
        `${madeDirty.toFixed(1)} µs`,
        `${applied.toFixed(1)} µs`,
        count(1e6 / applied),
        `${(samples[0]?.memory ?? Number.NaN).toFixed(0)} bytes`,
        growth(worst(samples, 'growth')),
        `${worst(samples, 'statement').toFixed(0)} ms`,
        `${worst(samples, 'pause').toFixed(0)} ms`,
        String(worst(samples, 'jobs')),
        String(worst(samples, 'failures')),
        String(wrong),
        isWithin(one) ? 'yes' : 'no',
      ];
    }),
  };
}

/** Microseconds per target: the medians. */
function micros({ samples }: Measured): { readonly madeDirty: number; readonly applied: number } {
  return {
    madeDirty: median(samples.map(({ rate, rateWithWrites }) => 1e6 / rateWithWrites - 1e6 / rate)),
    applied: median(samples.map(({ rate }) => 1e6 / rate)),
  };
}
