import type { Results, Summary } from '../benchmark';
import { micros, withInterval } from '../format';
import { compare, type Round } from '../rounds';
import { type Estimate, quantile } from '../statistics';
import { BASE, type Figures, type TimedRead } from './reads';

const NOTES = [
  'The ratio is to the same `findOneBy()` of a row that has no counter, and the median over rounds, with its 95 % confidence interval (of the sign test). A round takes two batches of every read by turns, forth and back, and compares within itself; 50 calls are a batch, or fewer of what takes long.',
  '`counters.read()` gives the value as if everything confirmed were applied: it looks into Redis, into the database, and into Redis again. The foreign key that COUNT(*) counts by is indexed, and the table freshly vacuumed, so that the index alone answers.',
];

/** What is kept of a way to read. */
export interface ReadFigures {
  readonly read: string;
  readonly calls: number;
  readonly p50: number;
  readonly p99: number;
  readonly ratio: Estimate;
}

/** The figures as a table. */
export function summarize(reads: readonly ReadFigures[]): Summary {
  return {
    table: {
      title: 'Time per call',
      columns: ['read', 'calls', 'p50', 'p99', 'ratio'],
      rows: reads.map(({ read, calls, p50, p99, ratio }) => [
        read,
        String(calls),
        micros(p50),
        micros(p99),
        read === BASE ? '1' : withInterval(ratio, digits),
      ]),
    },
  };
}

/** The figures, and how to read them. */
export function present(
  reads: readonly TimedRead[],
  rounds: readonly Round<Figures>[],
): Results<readonly ReadFigures[]> {
  return {
    notes: [`${rounds.length} rounds. ${NOTES[0] ?? ''}`, ...NOTES.slice(1)],
    figures: reads.map(({ name, times }) => ({
      read: name,
      calls: times.length,
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      ratio: ratioOf(rounds, name),
    })),
  };
}

function ratioOf(rounds: readonly Round<Figures>[], name: string): Estimate {
  return compare(rounds, 'wall', name, BASE).ratio;
}

function digits(ratio: number): string {
  return ratio.toFixed(ratio < 100 ? 2 : 0);
}
