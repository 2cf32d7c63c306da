import type { Results, ResultTable, Summary, Target } from '../benchmark';
import type { Chart } from '../chart';
import { count, decimals, growth, withInterval } from '../format';
import { compare, type Round, type Sample, valuesOf } from '../rounds';
import { type Estimate, estimate, median } from '../statistics';
import { APPLY_ONLY, CONCURRENCY, END_TO_END } from './baseline';
import { isOfOneWorker } from './library';
import type { Memory } from './stage';

/** All that was measured. */
export interface Measured {
  readonly rounds: readonly Round<Sample>[];
  /** Names of the variants of the library, in order. */
  readonly variants: readonly string[];
  readonly memory: Memory;
  /** Counters that were wrong in the end. */
  readonly wrong: number;
  /** Dirty targets of a sample, of the library and of one job per target. */
  readonly targets: number;
  readonly baselineTargets: number;
}

/** How many times as fast as one job per target. */
const RATE_TARGET = 20;
/** Bytes of Redis per dirty target. */
export const MEMORY_TARGET = 300;

/** What is kept of a run. */
export interface FlushFigures {
  readonly rates: Readonly<Record<string, Estimate>>;
  readonly ratios: Readonly<Record<string, Ratios>>;
  readonly memory: Memory;
  readonly wrong: number;
  readonly rounds: readonly Readonly<Record<string, Sample>>[];
}

/** The figures as tables. */
export function summarize(figures: FlushFigures): Summary {
  return { table: rateTable(figures), charts: [rateChart(figures)] };
}

/** The figures, and what was aimed at. */
export function present(measured: Measured): Results<FlushFigures> {
  return {
    details: [workerTable(measured), memoryTable(measured)],
    targets: [
      ...measured.variants.filter(isOfOneWorker).map((name) => rateTarget(measured, name)),
      memoryTarget(measured),
    ],
    notes: notesOn(measured),
    figures: {
      rates: Object.fromEntries(
        [END_TO_END, APPLY_ONLY, ...measured.variants].map((name) => [name, rate(measured, name)]),
      ),
      ratios: Object.fromEntries(measured.variants.map((name) => [name, ratiosOf(measured, name)])),
      memory: measured.memory,
      wrong: measured.wrong,
      rounds: measured.rounds.map((round) => Object.fromEntries(round)),
    },
  };
}

function rateTarget(measured: Measured, name: string): Target {
  const { withAdding } = ratiosOf(measured, name);
  return {
    what: `dirty targets applied per second, ${name}, to one job and one UPDATE per target`,
    bound: `≥ ${RATE_TARGET} ×`,
    measured: withInterval(withAdding, decimals(1)),
    isMet: withAdding.median >= RATE_TARGET,
  };
}

function memoryTarget({ memory, targets }: Measured): Target {
  return {
    what: `Redis memory per dirty target, of ${count(targets)}`,
    bound: `≤ ${MEMORY_TARGET} bytes`,
    measured: `${memory.dirty.toFixed(0)} bytes`,
    isMet: memory.dirty <= MEMORY_TARGET,
  };
}

function notesOn({ rounds, targets, baselineTargets, wrong }: Measured): string[] {
  return [
    `${rounds.length} rounds; in each, every variant takes one sample, in changing order, and a ratio is taken within the round. Median, with the 95 % confidence interval of the sign test. Samples of the library are of ${count(targets)} dirty targets, those of one job per target of ${count(baselineTargets)}, since rates are compared.`,
    `One job per target: addBulk of 1,000 jobs at a time, a BullMQ worker with concurrency ${CONCURRENCY} over a pool of ${CONCURRENCY} connections, and a prepared UPDATE by primary key in each job; no retries, completed jobs are removed. With adding: from the first job added, while the worker runs, to the last UPDATE. Without: all jobs wait before the worker starts.`,
    'The library: a worker process with the default concurrency of 4 shards, from its start until nothing is dirty and nothing claimed. Targets were made dirty by updates of their sources in buffered mode (captured, announced, confirmed), and are due when the worker starts. With the writes: the time of these updates is added, the UPDATE of the sources themselves included, which one job per target is not charged for.',
    `All of it on one machine: worker, PostgreSQL, Redis and the process that looks whether all is done share its processors. Before every sample the tables are vacuumed. Counters that were wrong in the end: ${wrong}.`,
  ];
}

function rateChart({ rates }: FlushFigures): Chart {
  const names = Object.keys(rates);
  return {
    title: 'Dirty targets applied per second',
    values: 'targets per second',
    form: 'bars',
    categories: names.map((name) => name.replace(', ', ',\n')),
    series: [{ name: 'median of the rounds', values: Object.values(rates).map(({ median: middle }) => middle) }],
    isLogarithmic: true,
  };
}

function rateTable({ rates, ratios }: FlushFigures): ResultTable {
  return {
    title: 'Targets applied per second, and as a ratio to one BullMQ job and one UPDATE per target',
    columns: ['variant', 'per second', 'with adding', `≥ ${RATE_TARGET} ×`, 'without adding', 'with the writes'],
    rows: Object.entries(rates).map(([name, { median: perSecond }]) => {
      const ratio = ratios[name];
      if (ratio === undefined) return [name, count(perSecond), '', '', '', ''];
      const [withAdding, withoutAdding, withWrites] = [ratio.withAdding, ratio.withoutAdding, ratio.withWrites].map(
        (one) => withInterval(one, decimals(1)),
      ) as [string, string, string];
      return [name, count(perSecond), withAdding, verdict(ratio.withAdding), withoutAdding, withWrites];
    }),
  };
}

function workerTable({ rounds, variants }: Measured): ResultTable {
  const worst = (figure: string, name: string): number => Math.max(...valuesOf(rounds, figure, name));
  return {
    title: 'The workers: median processor time, and the worst of all samples',
    columns: [
      'variant',
      'processor time per target',
      'memory',
      'longest statement',
      'longest pause',
      'jobs',
      'failures',
    ],
    rows: variants.map((name) => [
      name,
      `${median(valuesOf(rounds, 'cpu', name)).toFixed(1)} µs`,
      growth(worst('growth', name)),
      `${worst('statement', name).toFixed(0)} ms`,
      `${worst('pause', name).toFixed(0)} ms`,
      worst('jobs', name).toFixed(0),
      worst('failures', name).toFixed(0),
    ]),
  };
}

function memoryTable({ memory }: Measured): ResultTable {
  return {
    title: 'Redis: used_memory per target',
    columns: ['state', 'bytes', `≤ ${MEMORY_TARGET}`],
    rows: [
      [
        'dirty: pending, due, recalculation scheduled',
        memory.dirty.toFixed(0),
        memory.dirty <= MEMORY_TARGET ? 'yes' : 'no',
      ],
      ['applied: recalculation scheduled', memory.applied.toFixed(0), ''],
    ],
  };
}

function rate({ rounds }: Measured, name: string): Estimate {
  return estimate(valuesOf(rounds, 'rate', name));
}

interface Ratios {
  readonly withAdding: Estimate;
  readonly withoutAdding: Estimate;
  readonly withWrites: Estimate;
}

function ratiosOf({ rounds }: Measured, name: string): Ratios {
  const adding = valuesOf(rounds, 'rate', END_TO_END);
  const writes = valuesOf(rounds, 'rateWithWrites', name);
  return {
    withAdding: compare(rounds, 'rate', name, END_TO_END).ratio,
    withoutAdding: compare(rounds, 'rate', name, APPLY_ONLY).ratio,
    withWrites: estimate(writes.map((value, round) => value / (adding[round] ?? Number.NaN))),
  };
}

function verdict({ low, high }: Estimate): string {
  if (low >= RATE_TARGET) return 'yes';
  return high < RATE_TARGET ? 'no' : 'not resolved';
}
