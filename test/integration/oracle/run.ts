import { expectQuiet, expectTruth } from './comparison';
import { ExpectedErrors } from './expected-errors';
import { explained } from './failure';
import { openRun } from './ground';
import { Journal } from './journal';
import { Program } from './program';
import { Random } from './random';
import type { Run, RunOptions } from './run-options';

/** Operations of each client between two comparisons. */
const ROUND = 10;

/**
 * Operations one after the other; every counter column is compared with the truth after each.
 *
 * @returns the journal
 */
export function runSequential(options: RunOptions): Promise<string[]> {
  return inDatabase('sequential', options, async (run) => {
    const program = programOf(run, '', new Random(run.seed));
    for (let n = 1; n <= run.operations; n++) {
      run.journal.forgetStatements();
      run.journal.add(`#${n}`);
      await run.surroundings.beforeOperation();
      await program.operation();
      await expectTruth(run);
    }
  });
}

/**
 * Clients at once, each with its own stream of operations. They meet after every few, and every counter column is compared
 * with the truth: rows do not live long, nor does a wrong counter with them. Every second pair of seeds has a worker beside.
 *
 * @returns the journal
 */
export function runConcurrent(options: RunOptions & { readonly clients: number }): Promise<string[]> {
  return inDatabase('concurrent', options, async (run) => {
    const clients = Array.from({ length: options.clients }, (_, i) => {
      const random = new Random(run.seed * 1_000 + i);
      return { random, program: programOf(run, `${i + 1}| `, random) };
    });
    for (let done = 0; done < run.operations; done += ROUND) {
      run.journal.add(`round from #${done + 1}`);
      run.journal.forgetStatements();
      const count = Math.min(ROUND, run.operations - done);
      await together(
        run,
        clients.map((client) => () => perform(run, client, count)),
      );
      await expectTruth(run);
    }
  });
}

async function together(run: Run, clients: readonly (() => Promise<void>)[]): Promise<void> {
  const worker = run.seed % 4 < 2 ? await run.fixture.counters.startWorker() : null;
  const ends = await Promise.allSettled(clients.map((client) => client()));
  await worker?.close();
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

async function perform(run: Run, client: { random: Random; program: Program }, count: number): Promise<void> {
  for (let left = count; left > 0; left--) {
    await client.program.operation();
    if (client.random.chance(0.05)) await run.fixture.counters.flush();
  }
}

async function inDatabase(
  mode: Run['mode'],
  options: RunOptions,
  work: (run: Run) => Promise<void>,
): Promise<string[]> {
  const journal = new Journal();
  const { run, close } = await openRun(mode, options, journal);
  let failed = true;
  try {
    await work(run);
    await expectQuiet(run);
    failed = false;
  } catch (error) {
    throw await explained(run, error);
  } finally {
    await close({ leakCheck: !failed });
  }
  return journal.operations();
}

function programOf(run: Run, name: string, random: Random): Program {
  const { fixture, journal, keys, tally, mode, setting, surroundings, sources } = run;
  const isConcurrent = mode === 'concurrent';
  const { dataSource } = fixture;
  const expected = new ExpectedErrors(isConcurrent, setting.refusals, surroundings.mayRefuse);
  return new Program({
    dataSource,
    surroundings,
    sources,
    random,
    keys,
    journal,
    tally,
    expected,
    name,
    isConcurrent,
  });
}
