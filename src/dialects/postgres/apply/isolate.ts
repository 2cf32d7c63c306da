import type { BatchEntry, Unapplied } from '../../../model/pending';
import { classifyError } from '../errors';
import { type ApplyTable, together } from './apply-table';
import { divide, reasonOf } from './divide';
import type { Hidden } from '../sight';
import { type Change, probeUpdate } from './update-columns';

/** Milliseconds after which a row is tried again of which it is not clear whether it, or the load, is to blame. */
const AMBIGUOUS_BACKOFF = 30_000;

/** Applies the entries of one target table so that what is refused stands alone: the table first, then its rows, by halves. */
export const isolating: ApplyTable = async (runner, targetTable, entries, withChanges) => {
  const changes: Change[] = [];
  const locked: string[] = [];
  const hidden: string[] = [];
  const left: Unapplied[] = [];
  let hiddenBy: Hidden | null = null;
  let updates = 0;
  // What is deferred would only be refused at COMMIT, where rows cannot be told apart.
  await runner.query('SET CONSTRAINTS ALL IMMEDIATE');
  await divide<BatchEntry>(runner, entries, {
    async work(some) {
      updates += 1;
      const outcome = await together(runner, targetTable, some, withChanges);
      changes.push(...outcome.changes);
      locked.push(...outcome.locked);
      hidden.push(...outcome.hidden);
      hiddenBy ??= outcome.hiddenBy;
      left.push(...outcome.left);
    },
    probe: () => probeUpdate(runner, targetTable, entries),
    leave: (some, error) => left.push(...some.map(({ target }) => leftFor(target, error))),
  });
  return { changes, locked, hidden, hiddenBy, left, updates };
};

function leftFor(target: string, error: unknown): Unapplied {
  if (classifyError(error) === 'ambiguous') return { target, backoff: AMBIGUOUS_BACKOFF };
  return { target, failed: reasonOf(error) };
}
