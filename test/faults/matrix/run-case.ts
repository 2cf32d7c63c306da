import { type Fixture } from '../../support/setup';
import { until } from '../../support/until';
import { isQuiet } from './quiet';
import { type Case, isWriter, setStage } from './stage';
import { wrongTargets } from './truth';
import { runVictim } from './victim';
import { isLastCommitted, LAST, write } from './workload';

/**
 * How it ended, once everything was quiet. `exact`: every column is right, and whoever took over found nothing to
 * correct. `recounted`: every column is right, since the library recounted of itself. `lost`, `doubled`: a column lacks,
 * or has twice, what the dead transaction committed, until somebody calls `recalculate()`.
 */
export interface Outcome {
  readonly columns: 'exact' | 'recounted' | 'lost' | 'doubled';
  /** What became of the transaction that the process died in, if it was one of the application. */
  readonly transaction: 'committed' | 'rolled back' | null;
}

/** How long those who take over may take, ms: a lease of the dead ends after 10 s. */
const PATIENCE = 50_000;

/** How often they are looked at, ms: many cases run at once. */
const INTERVAL = 50;

/** Kills a process at a point, lets this one take over, and compares every column with the truth. */
export async function runCase(one: Case): Promise<Outcome> {
  const { point } = one;
  const { fixture, orders } = await setStage(one, 'SIGKILL');
  try {
    let drifts = 0;
    fixture.counters.on('drift', () => (drifts += 1));
    await runVictim(orders);
    await takeOver(fixture);
    const columns = await outcomeOf(fixture, drifts);
    expect(['exact', 'recounted']).toContain(columns);
    expect(fixture.errors.filter((error) => (error as { code?: unknown }).code !== 'BUFFER_LOST')).toEqual([]);
    return { columns, transaction: isWriter(point) ? await transactionOutcome(fixture) : null };
  } finally {
    await fixture.close();
  }
}

/** Writes on under what the dead left, then has a worker finish everything. */
async function takeOver(fixture: Fixture): Promise<void> {
  const { dataSource, counters } = fixture;
  await write(dataSource, 2);
  await counters.settled();
  const worker = await counters.startWorker();
  await until(() => isQuiet(fixture), PATIENCE, INTERVAL);
  await worker.close();
}

async function transactionOutcome({ dataSource }: Fixture): Promise<'committed' | 'rolled back'> {
  return (await isLastCommitted(dataSource)) ? 'committed' : 'rolled back';
}

async function outcomeOf({ dataSource, counters }: Fixture, drifts: number): Promise<Outcome['columns']> {
  const wrong = await wrongTargets(dataSource);
  const left = await counters.verify();
  expect(left).toMatchObject({ unsettled: [] });
  if (wrong.length === 0) {
    expect(left.fixedCount).toBe(0);
    return drifts === 0 ? 'exact' : 'recounted';
  }
  await counters.recalculate();
  expect(await wrongTargets(dataSource)).toEqual([]);
  const lacking = wrong.filter(({ posts }) => posts !== 0);
  for (const [sign, name] of [
    [-1, 'lost'],
    [1, 'doubled'],
  ] as const)
    if (lacking.length > 0 && lacking.every(({ target, posts }) => posts === sign * (LAST[target] ?? Number.NaN)))
      return name;
  throw new Error(`columns are wrong, and not by what the transaction changed: ${JSON.stringify(wrong)}`);
}
