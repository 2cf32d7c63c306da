import type { Results } from '../benchmark';
import { compare, type Round, valuesOf } from '../rounds';
import { median } from '../statistics';
import type { ClientSample } from './client-program';
import type { Scenario } from './scenarios';
import { VARIANTS } from './variants';

export interface MeasuredScenario {
  readonly scenario: Scenario;
  readonly rounds: readonly Round<ClientSample>[];
}

export function present(measured: readonly MeasuredScenario[]): Results {
  return {
    tables: measured.map(({ scenario, rounds }) => ({
      title: `${scenario.name}, ${rounds.length} rounds`,
      columns: ['variant', 'per second', 'ratio', 'p50', 'p99', 'p99 ratio', 'cpu'],
      rows: VARIANTS.filter(({ name }) => rounds[0]?.has(name)).map(({ name, title }) => {
        const { ratio } = compare(rounds, 'perSecond', name, 'none');
        const { ratio: p99 } = compare(rounds, 'p99', name, 'in_transaction');
        const of = (figure: keyof ClientSample) => median(valuesOf(rounds, figure, name));
        return [
          title,
          of('perSecond').toFixed(0),
          `${ratio.median.toFixed(3)} (${ratio.lowerQuartile.toFixed(3)} … ${ratio.upperQuartile.toFixed(3)})`,
          of('p50').toFixed(1),
          of('p99').toFixed(1),
          `1/${(1 / p99.median).toFixed(1)}`,
          of('cpu').toFixed(0),
        ];
      }),
    })),
    notes: [],
    figures: measured.map(({ scenario, rounds }) => ({ scenario, rounds: rounds.map((r) => Object.fromEntries(r)) })),
  };
}
