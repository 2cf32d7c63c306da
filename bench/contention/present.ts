import type { Results, ResultTable, Target } from '../benchmark';
import type { Chart } from '../chart';
import { decimals, micros, withSpread } from '../format';
import { compare, type Round, valuesOf } from '../rounds';
import { median } from '../statistics';
import type { ClientSample } from './client-program';
import type { Scenario } from './scenarios';
import { type ContentionVariant, VARIANTS } from './variants';

/** What was measured while clients wrote in one way. */
export interface MeasuredScenario {
  readonly scenario: Scenario;
  readonly rounds: readonly Round<ClientSample>[];
  /** Per variant, rows of parents whose count was wrong in the end. */
  readonly wrong: ReadonlyMap<string, number>;
}

/** The figures as tables and pictures, and what was aimed at. */
export function present(measured: readonly MeasuredScenario[]): Results {
  return {
    tables: measured.map(tableOf),
    charts: [chartOf(measured, 1), chartOf(measured, 20)].filter(({ categories }) => categories.length > 0),
    targets: measured.flatMap(targetsOf),
    notes: NOTES,
    figures: measured.map(({ scenario, rounds, wrong }) => ({
      ...scenario,
      variants: Object.fromEntries(
        VARIANTS.map(({ name }) => [
          name,
          {
            ...Object.fromEntries(
              (['perSecond', 'p50', 'p99', 'cpu'] as const).map((figure) => [
                figure,
                median(valuesOf(rounds, figure, name)),
              ]),
            ),
            toNoCounter: compare(rounds, 'perSecond', name, 'none').ratio,
            p99ToUpdate: compare(rounds, 'p99', name, 'in_transaction').ratio,
            wrong: wrong.get(name),
          },
        ]),
      ),
    })),
  };
}

const NOTES = [
  'Every variant is a process of its own with 32 clients that write one transaction after the other, over tables of its own with 100,000 parents; one process of workers applies what this library leaves after every sample, not during it (`wait` is 1 s: it would be one UPDATE per parent and second), and what the naive variant leaves at once. Before each scenario the tables are vacuumed: the versions of a parent that UPDATEs leave behind slow down every check of a foreign key to it. A round takes two samples of each variant by turns, forth and back; the first 0.15 s of each, when a process that has slept begins with all clients at once, are left out. Ratios are medians over rounds, with the middle half of the rounds in brackets: of transactions per second to those without a counter, and of 99th percentiles to the one with an UPDATE in the transaction. `save()` and `transaction()` bring their own transaction; `insert()` is one statement without one, and every variant that counts in the same transaction has to open one for it.',
  'Wrong: parents whose count differs from COUNT(*) when everything is applied, after all scenarios so far. `UPDATE`s of several parents in one transaction are sorted by id, since they would deadlock otherwise; a trigger cannot sort them. The victim of a deadlock tries again, and the time counts.',
];

function tableOf({ scenario, rounds, wrong }: MeasuredScenario): ResultTable {
  return {
    title: `${scenario.name}: ${rounds.length} rounds`,
    columns: [
      'variant',
      'per second',
      'to no counter',
      'p50',
      'p99',
      'p99 to UPDATE',
      'processor',
      'deadlocks',
      'wrong',
    ],
    rows: VARIANTS.map(({ name, title }) => {
      const of = (figure: keyof ClientSample): number => median(valuesOf(rounds, figure, name));
      return [
        title,
        of('perSecond').toFixed(0),
        withSpread(compare(rounds, 'perSecond', name, 'none').ratio, decimals(2)),
        `${of('p50').toFixed(1)} ms`,
        `${of('p99').toFixed(1)} ms`,
        withSpread(compare(rounds, 'p99', name, 'in_transaction').ratio, decimals(2)),
        micros(of('cpu')),
        of('deadlocks') === 0 ? '0' : `${of('deadlocks').toFixed(1)} ‰`,
        String(wrong.get(name) ?? ''),
      ];
    }),
  };
}

/** Of transactions of so many rows. */
function chartOf(measured: readonly MeasuredScenario[], rows: number): Chart {
  const shown = measured.filter(({ scenario }) => scenario.rows === rows && scenario.method === 'save');
  return {
    title: `save(), ${rows === 1 ? '1 row' : `${rows} rows`}: transactions per second, as a ratio to those without a counter`,
    values: 'ratio',
    form: 'bars',
    categories: shown.map(({ scenario: { parents, skew } }) => `${parents.toLocaleString('en')} ${skew}`),
    series: VARIANTS.slice(1).map(({ name, title }) => ({
      name: title,
      values: shown.map(({ rounds }) => Number(compare(rounds, 'perSecond', name, 'none').ratio.median.toFixed(3))),
    })),
  };
}

/** With the library's defaults. */
const LEAST: Readonly<Record<string, number>> = {
  buffered: 0.9,
  outbox: 0.65,
};
const LATENCY = 1 / 8;

/** Of transactions under one hot parent. */
function targetsOf({ scenario: { parents, name: scenario }, rounds }: MeasuredScenario): Target[] {
  if (parents !== 1) return [];
  const ours = VARIANTS.filter(({ name }) => name in LEAST);
  return ours.flatMap(({ name, title }: ContentionVariant): Target[] => {
    const variant = title.replace('this library, ', '');
    const least = LEAST[name] ?? 0;
    const throughput = compare(rounds, 'perSecond', name, 'none').ratio;
    const latency = compare(rounds, 'p99', name, 'in_transaction').ratio;
    return [
      {
        what: `transactions per second, ${variant}, to no counter: ${scenario}`,
        bound: `≥ ${least.toFixed(2)}`,
        measured: withSpread(throughput, decimals(2)),
        isMet: throughput.median >= least,
      },
      {
        what: `p99 latency, ${variant}, to an UPDATE in the transaction: ${scenario}`,
        bound: '≤ 1/8',
        measured: `1/${(1 / latency.median).toFixed(1)}`,
        isMet: latency.median <= LATENCY,
      },
    ];
  });
}
