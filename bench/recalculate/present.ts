import type { Results, ResultTable, Summary } from '../benchmark';
import { decimals, withInterval, withSpread } from '../format';
import { compare, type Round, valuesOf } from '../rounds';
import { type Estimate, estimate, median } from '../statistics';
import type { Observed } from './observe';

/** The variant of the library. */
export const LIBRARY = 'recalculate';
/** One target after the other. */
export const SEQUENTIAL = 'by hand';
/** Several targets at once. */
export const CONCURRENT = 'by hand, 16 at once';
const NAMES = [LIBRARY, SEQUENTIAL, CONCURRENT];

/** All that was measured of one task. */
export interface Measured {
  readonly task: string;
  /** Targets of one batch. */
  readonly targets: number;
  readonly rounds: readonly Round<Observed>[];
}

/** What is kept of a task. */
export interface TaskFigures {
  readonly task: string;
  readonly targets: number;
  readonly variants: Readonly<Record<string, { readonly perSecond: Estimate }>>;
  readonly ratio: Estimate;
  readonly ratioToConcurrent: Estimate;
}

/** The figures, and how to read them. */
export function present(measured: readonly Measured[]): Results<readonly TaskFigures[]> {
  return {
    details: [costTable(measured)],
    notes: NOTES,
    figures: measured.map(figuresOf),
  };
}

const NOTES = [
  'By hand is what one would write without the library: `countBy` (`sum`, or `find` and a filter) for every target, and an `update` where the column differs; one after the other, or 16 at once. It is not exact while others write.',
  'A ratio above 1 says how many times as many targets per second `counters.recalculate()` does; it is the median over rounds, with its 95 % confidence interval (of the sign test). A round takes two batches of every variant by turns, forth and back, over the same targets, and compares within itself.',
];

/** The figures as a table. */
export function summarize(tasks: readonly TaskFigures[]): Summary {
  return {
    table: {
      title: 'Targets per second (100 sources each)',
      columns: ['what', 'rounds', ...NAMES, 'ratio', 'ratio to 16 at once'],
      rows: tasks.map(({ task, variants, ratio, ratioToConcurrent }) => [
        task,
        String(ratio.rounds),
        ...NAMES.map((name) => {
          const figures = variants[name];
          return figures === undefined ? '' : withSpread(figures.perSecond, decimals(0));
        }),
        ...[ratio, ratioToConcurrent].map((estimated) => withInterval(estimated, decimals(2))),
      ]),
    },
  };
}

function costTable(measured: readonly Measured[]): ResultTable {
  const figure = ({ rounds }: Measured, name: string, key: keyof Observed, digits = 0): string =>
    median(valuesOf(rounds, key, name)).toFixed(digits);
  return {
    title: `What was sent for ${measured[0]?.targets ?? 0} targets, and what it kept waiting`,
    columns: ['what', 'variant', 'statements', 'longest', 'Redis commands', 'processor time', 'longest pause'],
    note: 'Statements and commands are those of one batch. Redis commands count what Lua functions call within Redis too. The pause is the longest in which the event loop of the process answered nobody.',
    rows: measured.flatMap((one) =>
      NAMES.map((name) => [
        one.task,
        name,
        figure(one, name, 'statements'),
        `${figure(one, name, 'longest')} ms`,
        figure(one, name, 'commands'),
        `${figure(one, name, 'cpu')} ms`,
        `${figure(one, name, 'pause', 1)} ms`,
      ]),
    ),
  };
}

function perSecond({ rounds, targets }: Measured, name: string): Estimate {
  return estimate(valuesOf(rounds, 'wall', name).map((wall) => (targets * 1_000) / wall));
}

function figuresOf(one: Measured): TaskFigures {
  const { task, targets, rounds } = one;
  const keys = ['wall', 'cpu', 'statements', 'longest', 'commands', 'pause'] as const;
  return {
    task,
    targets,
    variants: Object.fromEntries(
      NAMES.map((name) => [
        name,
        {
          perSecond: perSecond(one, name),
          ...Object.fromEntries(keys.map((key) => [key, estimate(valuesOf(rounds, key, name))])),
        },
      ]),
    ),
    ratio: compare(rounds, 'wall', SEQUENTIAL, LIBRARY).ratio,
    ratioToConcurrent: compare(rounds, 'wall', CONCURRENT, LIBRARY).ratio,
  };
}
