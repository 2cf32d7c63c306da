import type { Results } from '../benchmark';
export function present(all: any): Results {
  const { rounds, memory, wrong } = all;
  const names = [...rounds[0].keys()];
  const med = (xs: number[]) => xs.toSorted((a, b) => a - b)[Math.floor(xs.length / 2)] ?? NaN;
  const keys = ['rate', 'rateWithWrites', 'jobs', 'statement', 'pause', 'growth', 'cpu', 'failures'];
  return {
    tables: [
      {
        title: 'x',
        columns: ['variant', ...keys],
        rows: names.map((n: any) => [n, ...keys.map((k) => med(rounds.map((r: any) => r.get(n)[k])).toFixed(0))]),
      },
    ],
    notes: [JSON.stringify(memory), `wrong ${wrong}`],
    figures: {},
  };
}
