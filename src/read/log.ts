import { formatDecimal } from '../model/amount';
import { describeTarget, type JobContext, targetTableOf } from '../engines/context';
import { selectTargets, type TargetFilter } from '../engines/targets';
import { type LoggedChange, logPage } from '../dialects/postgres/outbox/log-page';
import { withConnection } from '../dialects/postgres/query';
import { besidePool } from '../dialects/postgres/side-connection';

/** A change of one counter column that one transaction has written to the outbox. */
export interface LogEntry {
  /** Name of the target's entity. */
  readonly entity: string;
  /** Key of the target, as text; several parts joined by a comma. */
  readonly id: string;
  /** Property of the counter column. */
  readonly column: string;
  /** Signed, in units of the column; decimals keep the column's scale. */
  readonly amount: string;
  readonly writtenAt: Date;
  /** `null` while it waits. */
  readonly appliedAt: Date | null;
  /** Why the database refused it; `null` when it did not. */
  readonly failed: string | null;
}

/** Entries read at a time. */
const PAGE = 1_000;

/** What the outbox holds, in the order in which it was written. */
export async function* readLog(context: JobContext, filter: TargetFilter): AsyncGenerator<LogEntry, void, undefined> {
  const { targetTables, targets } = selectTargets(context, filter);
  const rows = { tableIds: targetTables?.map(({ id }) => id) ?? null, targets };
  for (let after = '0'; ;) {
    const from = after;
    const page = await besidePool('full', () =>
      withConnection(context.dataSource, (runner) => logPage(runner, context.tables, rows, from, PAGE)),
    );
    for (const change of page) yield entryOf(context, change);
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.id;
  }
}

function entryOf({ definitions }: JobContext, change: LoggedChange): LogEntry {
  const { target, column: name, amount, writtenAt, appliedAt, failed } = change;
  const column = targetTableOf(definitions, target)?.columns.get(name);
  return {
    ...describeTarget(definitions, target),
    column: column?.property ?? name,
    amount: formatDecimal(amount, column?.scale ?? 0),
    writtenAt,
    appliedAt,
    failed,
  };
}
