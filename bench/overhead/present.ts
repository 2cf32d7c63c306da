import type { Results, ResultTable, Summary, Target } from '../benchmark';
import { decimals, micros, withInterval } from '../format';
import { compare, type Comparison, type Round, valuesOf } from '../rounds';
import { type Estimate, median } from '../statistics';
import type { HotFigure } from './hot-loop';
import { SAVE_NEW } from './operations';
import type { Figures, Fixed } from './subject';

/** All that was measured of one operation. */
export interface Measured {
  readonly operation: string;
  readonly fixed: { readonly attached: Fixed; readonly notAttached: Fixed };
  /** Commands to Redis during two batches with counters attached. */
  readonly commands: number;
  readonly rounds: readonly Round<Figures>[];
}

const TARGET = 1.02;

/** What is kept of a run. */
export interface OverheadFigures {
  readonly operations: readonly OperationFigures[];
  readonly hotLoops: readonly HotFigure[];
}

interface OperationFigures extends Pick<Measured, 'operation' | 'fixed' | 'commands'> {
  readonly wall: FigureOf;
  readonly cpu: FigureOf;
}

/** One figure of every DataSource, and compared with the one that is not attached. */
interface FigureOf {
  readonly medians: Readonly<Record<string, number>>;
  readonly toNotAttached: Readonly<Record<string, Comparison>>;
}

/** The figures, and what was aimed at. */
export function present(measured: readonly Measured[], hot: readonly HotFigure[]): Results<OverheadFigures> {
  return {
    details: [processTable(measured), methodTable(measured), hotTable(hot)],
    targets: measured.filter(({ operation }) => operation === SAVE_NEW).map(targetOf),
    notes: NOTES,
    figures: { operations: measured.map(figuresOf), hotLoops: hot },
  };
}

const NOTES = [
  'A ratio is the median over rounds, with its 95 % confidence interval (of the sign test). A round takes two batches of 20 writes of every DataSource by turns, forth and back, and compares within itself. Times of a batch are the median of its writes, so they leave garbage collections out; processor time has them in, and the memory allocated tells how much more there is to collect.',
  'The control is a second DataSource without counters in the same process: where its interval does not hold 1, the intervals of this run are too narrow.',
];

/** Met by the median: no run of this length narrows the interval to less than the cost itself. */
function targetOf({ operation, rounds }: Measured): Target {
  const { ratio } = compare(rounds, 'wall', 'attached', 'not attached');
  return {
    what: `${operation} that feeds no counter: time, attached to not attached`,
    bound: `≤ ${TARGET}`,
    measured: withInterval(ratio, decimals(3)),
    isMet: ratio.median <= TARGET,
  };
}

/** The figures as a table. */
export function summarize({ operations }: OverheadFigures): Summary {
  const ratio = (figure: FigureOf, variant: string): string => {
    const compared = figure.toNotAttached[variant];
    return compared === undefined ? '' : withInterval(compared.ratio, decimals(3));
  };
  return {
    table: {
      title: 'Per write: attached, as a ratio to not attached',
      columns: ['operation', 'queries', 'Redis', 'not attached', 'time', '≤ 2 %', 'processor', 'allocated', 'control'],
      rows: operations.map(({ operation, fixed: { attached, notAttached }, commands, wall, cpu }) => [
        operation,
        `${notAttached.queries} + ${attached.queries - notAttached.queries}`,
        String(commands),
        micros(wall.medians['not attached'] ?? Number.NaN),
        ratio(wall, 'attached'),
        verdict(wall.toNotAttached['attached']?.ratio),
        ratio(cpu, 'attached'),
        (attached.allocated / notAttached.allocated).toFixed(3),
        ratio(wall, 'control'),
      ]),
    },
  };
}

function processTable(measured: readonly Measured[]): ResultTable {
  return {
    title: 'Processor time and memory of the process per write: attached, compared with not attached',
    columns: ['operation', 'CPU not attached', 'CPU ratio', 'CPU difference', 'allocated not attached', 'ratio'],
    rows: measured.map(({ operation, fixed: { attached, notAttached }, rounds }) => {
      const cpu = compare(rounds, 'cpu', 'attached', 'not attached');
      return [
        operation,
        micros(median(valuesOf(rounds, 'cpu', 'not attached'))),
        withInterval(cpu.ratio, decimals(3)),
        `${withInterval(cpu.difference, decimals(1))} µs`,
        `${(notAttached.allocated / 1_024).toFixed(1)} KiB`,
        (attached.allocated / notAttached.allocated).toFixed(3),
      ];
    }),
  };
}

function methodTable(measured: readonly Measured[]): ResultTable {
  const ratio = (rounds: Measured['rounds'], variant: string, base: string): string =>
    withInterval(compare(rounds, 'wall', variant, base).ratio, decimals(3));
  return {
    title: 'What the method resolves: ratios of times per write',
    note: 'Never attached is a process of its own with one DataSource, in which nothing was attached. It is faster by a quarter to a half, and as much so when nothing is attached in the first process either: that difference is one of processes, not of counters.',
    columns: ['operation', 'rounds', 'control / not attached', 'not / never attached', 'attached / never attached'],
    rows: measured.map(({ operation, rounds }) => [
      operation,
      String(rounds.length),
      ratio(rounds, 'control', 'not attached'),
      ratio(rounds, 'not attached', 'never attached'),
      ratio(rounds, 'attached', 'never attached'),
    ]),
  };
}

function hotTable(hot: readonly HotFigure[]): ResultTable {
  return {
    title: 'Hot loops: the pieces by themselves, per call',
    columns: ['piece', 'attached', 'not attached', 'difference'],
    note: 'Hot loops run nothing else, so everything is in the caches and inlined; between round trips to a server the same instructions take several times as long.',
    rows: hot.map(({ piece, attached, notAttached, difference }) => [
      piece,
      `${attached.toFixed(2)} µs`,
      `${notAttached.toFixed(2)} µs`,
      `${withInterval(difference, decimals(2))} µs`,
    ]),
  };
}

function figuresOf({ operation, fixed, commands, rounds }: Measured): OperationFigures {
  const names = ['attached', 'not attached', 'control', 'never attached'];
  const others = names.filter((name) => name !== 'not attached');
  const figureOf = (figure: 'wall' | 'cpu'): FigureOf => ({
    medians: Object.fromEntries(names.map((name) => [name, median(valuesOf(rounds, figure, name))])),
    toNotAttached: Object.fromEntries(others.map((name) => [name, compare(rounds, figure, name, 'not attached')])),
  });
  return { operation, fixed, commands, wall: figureOf('wall'), cpu: figureOf('cpu') };
}

function verdict(ratio: Estimate | undefined): string {
  if (ratio === undefined) return '';
  if (ratio.high <= TARGET) return 'yes';
  return ratio.low > TARGET ? 'no' : 'not resolved';
}
