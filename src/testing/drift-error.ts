import { CounterCacheError } from '../errors';
import type { Drift } from '../events';
import type { RecountReport } from '../recount/recount-run';

/** Wrong columns that the message lists. */
const LISTED = 10;

/** `expectNoDrift()` found columns that are not what their rows say, or that cannot be compared. */
export class DriftError extends CounterCacheError {
  /** The wrong columns, at most 1,000. */
  readonly drifts: readonly Drift[];
  /** All wrong columns. */
  readonly count: number;

  constructor({ fixed, fixedCount, unsettled, failed }: RecountReport) {
    const problems = [
      ...fixed.map(describeDrift),
      ...failed.map(({ entity, id, counter, reason }) =>
        [entity, id, counter, `cannot be recounted: ${reason}`].filter((part) => part !== undefined).join(' '),
      ),
      ...unsettled.map(({ entity, id }) => `${entity} ${id} could not be compared: it never held still`),
    ];
    const total = fixedCount + failed.length + unsettled.length;
    const lines = problems.slice(0, LISTED).map((problem) => `  - ${problem}`);
    if (total > lines.length) lines.push(`  and ${total - lines.length} more`);
    const advice =
      'Raw SQL, triggers and other programs are not counted: wrap raw SQL in counters.track(), or run counters.recalculate()';
    const message = `expected every counter to be right, got ${total} that ${total === 1 ? 'is' : 'are'} not:\n${lines.join('\n')}\n${advice}`;
    super('DRIFT', message, { drifts: fixed, count: fixedCount, failed, unsettled });
    this.drifts = fixed;
    this.count = fixedCount;
  }
}

function describeDrift({ entity, id, column, counters, wrong, right }: Drift): string {
  return `${entity} ${id}: expected ${column} to be ${right}, got: ${wrong} (${counters.join(', ')})`;
}
