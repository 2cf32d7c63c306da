import type { Results, ResultTable, Summary, Target } from '../benchmark';
import type { Chart } from '../chart';
import { decimals, micros, withSpread } from '../format';
import { compare, type Round, valuesOf } from '../rounds';
import { type Estimate, median } from '../statistics';
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

/** What is kept of a scenario. */
export interface ScenarioFigures extends Scenario {
  readonly variants: Readonly<Record<string, VariantFigures>>;
}

interface VariantFigures {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpu: number;
  readonly toNoCounter: Estimate;
  readonly p99ToUpdate: Estimate;
  /** Rows of parents whose count was wrong in the end; nobody counts without a counter. */
  readonly wrong?: number | undefined;
}

/** The figures, and what was aimed at. */
export function present(measured: readonly MeasuredScenario[]): Results<readonly ScenarioFigures[]> {
  const figures = measured.map(figuresOf);
  return {
    details: measured.map(tableOf),
    targets: targetsOf(figures),
    notes: NOTES,
    figures,
  };
}

function figuresOf({ scenario, rounds, wrong }: MeasuredScenario): ScenarioFigures {
  const variants = VARIANTS.map(({ name }): [string, VariantFigures] => {
    const of = (figure: keyof ClientSample): number => median(valuesOf(rounds, figure, name));
    return [
      name,
      {
        perSecond: of('perSecond'),
        p50: of('p50'),
        p99: of('p99'),
        cpu: of('cpu'),
        toNoCounter: compare(rounds, 'perSecond', name, 'none').ratio,
        p99ToUpdate: compare(rounds, 'p99', name, 'in_transaction').ratio,
        wrong: wrong.get(name),
      },
    ];
  });
  return { ...scenario, variants: Object.fromEntries(variants) };
}

/** The figures as tables and pictures. */
export function summarize(scenarios: readonly ScenarioFigures[]): Summary {
  const cell = ({ toNoCounter, p99ToUpdate }: VariantFigures): string =>
    `${toNoCounter.median.toFixed(2)} · ${p99ToUpdate.median.toFixed(2)}`;
  return {
    table: {
      title:
        'Transactions per second as a ratio to no counter · p99 latency as a ratio to an UPDATE in the transaction',
      columns: ['what is written', ...VARIANTS.map(({ title }) => title.replace(OURS, '')), 'wrong'],
      rows: scenarios.map(({ name, variants }) => [
        name,
        ...VARIANTS.map((variant) => {
          const figures = variants[variant.name];
          return figures === undefined ? '' : cell(figures);
        }),
        String(Object.values(variants).reduce((sum, { wrong = 0 }) => sum + wrong, 0)),
      ]),
    },
    charts: [chartOf(scenarios, 1), chartOf(scenarios, 20)].filter(({ categories }) => categories.length > 0),
  };
}

/** What the titles of our variants begin with. */
const OURS = 'this library, ';

const NOTES = [
  'Every variant is a process of its own with 32 clients that write one transaction after the other, over tables of its own with 100,000 parents; one process of workers applies what this library leaves after every sample, not during it (`wait` is 1 s: it would be one UPDATE per parent and second), and what the naive variant leaves at once. Before each scenario the tables are vacuumed: the versions of a parent that UPDATEs leave behind slow down every check of a foreign key to it. A round takes two samples of each variant by turns, forth and back; the first 0.15 s of each, when a process that has slept begins with all clients at once, are left out. Ratios are medians over rounds: of transactions per second to those without a counter, and of 99th percentiles to the one with an UPDATE in the transaction. `save()` and `transaction()` bring their own transaction; `insert()` is one statement without one, and every variant that counts in the same transaction has to open one for it.',
  'Wrong: parents whose count differs from COUNT(*) when everything is applied, after all scenarios so far. `UPDATE`s of several parents in one transaction are sorted by id, since they would deadlock otherwise; a trigger cannot sort them. The victim of a deadlock tries again, and the time counts.',
];

function tableOf({ scenario, rounds, wrong }: MeasuredScenario): ResultTable {
  return {
    title: `${scenario.name}: ${rounds.length} rounds`,
    note: 'In brackets: the middle half of the rounds.',
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
function chartOf(scenarios: readonly ScenarioFigures[], rows: number): Chart {
  const shown = scenarios.filter((one) => one.rows === rows && one.method === 'save');
  return {
    title: `save(), ${rows === 1 ? '1 row' : `${rows} rows`}: transactions per second, as a ratio to those without a counter`,
    values: 'ratio',
    form: 'bars',
    categories: shown.map(({ parents, skew }) => `${parents.toLocaleString('en')} ${skew}`),
    series: VARIANTS.slice(1).map(({ name, title }) => ({
      name: title,
      values: shown.map(({ variants }) => Number((variants[name]?.toNoCounter.median ?? Number.NaN).toFixed(3))),
    })),
  };
}

/** With the library's defaults. */
const LEAST: Readonly<Record<string, number>> = {
  buffered: 0.9,
  outbox: 0.65,
};
const LATENCY = 1 / 8;

/** Of every way to write under one hot parent. */
function targetsOf(scenarios: readonly ScenarioFigures[]): Target[] {
  const hot = scenarios.filter(({ parents }) => parents === 1);
  const ours = VARIANTS.filter(({ name }) => name in LEAST);
  return ours.flatMap(({ name, title }: ContentionVariant): Target[] => {
    const variant = title.replace(OURS, '');
    const least = LEAST[name] ?? 0;
    const ratios = (figure: 'toNoCounter' | 'p99ToUpdate'): number[] =>
      hot.map(({ variants }) => variants[name]?.[figure].median ?? Number.NaN).toSorted((left, right) => left - right);
    const [throughputs, latencies] = [ratios('toNoCounter'), ratios('p99ToUpdate')];
    const met = [throughputs.filter((ratio) => ratio >= least), latencies.filter((ratio) => ratio <= LATENCY)];
    return [
      {
        what: `transactions per second, ${variant}, to no counter: ${hot.length} ways to write under 1 hot parent`,
        bound: `≥ ${least.toFixed(2)}`,
        measured: `${range(throughputs, decimals(2))}: ${met[0]?.length} of ${hot.length}`,
        isMet: met[0]?.length === hot.length,
      },
      {
        what: `p99 latency, ${variant}, to an UPDATE in the transaction: the same`,
        bound: '≤ 1/8',
        measured: `${range(latencies, (ratio) => `1/${(1 / ratio).toFixed(1)}`)}: ${met[1]?.length} of ${hot.length}`,
        isMet: met[1]?.length === hot.length,
      },
    ];
  });
}

function range(sorted: readonly number[], format: (value: number) => string): string {
  return [sorted[0], sorted.at(-1)].map((value) => format(value ?? Number.NaN)).join(' … ');
}
