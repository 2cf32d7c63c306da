import type { DeltaBuffer, Held, Unapplied } from '../buffer/buffer';
import { byShard } from '../buffer/shard';
import { formatDecimal } from '../counter/amount';
import type { CounterColumn } from '../counter/definition';
import type { JobContext } from '../jobs/context';
import type { AppliedBatches } from '../sql/ledger';
import { withConnection } from '../sql/query';
import { readColumn } from '../sql/read-column';

/** How often a read is repeated because amounts moved between buffer and column meanwhile. */
const ATTEMPTS = 20;

/** Targets read in one statement. */
const TARGETS = 1_000;

/** A counter as TypeORM hydrates its column; `null` where the row does not exist. */
export type CounterValue = number | string | null;

/**
 * Counters as if everything confirmed were applied: pending and claimed amounts, the column and the ledger in one SQL
 * statement, and the buffer's version again; repeated, for shards in which an amount moved in between.
 *
 * @returns one value per target, in the order given
 */
export async function readCounters(
  context: JobContext,
  column: CounterColumn,
  targets: readonly string[],
): Promise<CounterValue[]> {
  const distinct = [...new Set(targets)];
  const values = new Map<string, CounterValue>();
  for (let at = 0; at < distinct.length; at += TARGETS) {
    for (const [target, amount] of await readSome(context, column, distinct.slice(at, at + TARGETS)))
      values.set(target, valueOf(column, amount));
  }
  return targets.map((target) => values.get(target) ?? null);
}

function valueOf({ sqlType, scale }: CounterColumn, amount: bigint | null): CounterValue {
  if (amount === null) return null;
  return sqlType === 'integer' || sqlType === 'smallint' ? Number(amount) : formatDecimal(amount, scale);
}

/** What one shard holds of some targets, at one version. */
interface ShardView {
  readonly shard: number;
  readonly version: number;
  readonly held: readonly Held[];
}

async function readSome(
  context: JobContext,
  column: CounterColumn,
  targets: readonly string[],
): Promise<Map<string, bigint | null>> {
  const { buffer } = context;
  const amounts = new Map<string, bigint | null>();
  let before = await viewShards(
    buffer,
    byShard(targets, (target) => target, buffer.shards),
  );
  for (let attempt = 1; before.length > 0; attempt++) {
    const worth = await readWorth(context, column, before);
    const after = await viewShards(buffer, new Map(before.map(({ shard, held }) => [shard, held.map(targetOf)])));
    const moved = after.filter(({ version }, i) => version !== before[i]?.version && attempt < ATTEMPTS);
    const again = new Set(moved.map(({ shard }) => shard));
    for (const { target } of before.filter(({ shard }) => !again.has(shard)).flatMap(({ held }) => held))
      amounts.set(target, worth.get(target) ?? null);
    // What was seen after one statement was seen before the next.
    before = moved;
  }
  return amounts;
}

function viewShards(
  buffer: DeltaBuffer,
  groups: ReadonlyMap<number, readonly string[]>,
): Promise<readonly ShardView[]> {
  return Promise.all([...groups].map(async ([shard, targets]) => ({ shard, ...(await buffer.read(shard, targets)) })));
}

function targetOf({ target }: Held): string {
  return target;
}

/** The column, and what of the amounts in the buffer is not applied to it. */
async function readWorth(
  { dataSource, tables }: JobContext,
  column: CounterColumn,
  views: readonly ShardView[],
): Promise<Map<string, bigint | null>> {
  const all = views.flatMap(({ held }) => held);
  const batches = [...new Set(all.flatMap(({ claims }) => claims.map(({ batch }) => batch)))];
  const { values, applied } = await withConnection(dataSource, (runner) =>
    readColumn(runner, tables, column, all.map(targetOf), batches),
  );
  return new Map(
    all.map((held, i) => {
      const value = values[i] ?? null;
      return [held.target, value === null ? null : value + heldAmount(held, column.name, applied)];
    }),
  );
}

function heldAmount({ target, claims, pending }: Held, column: string, applied: AppliedBatches): bigint {
  const claimed = claims
    .filter(({ batch }) => !isApplied(applied.get(batch), target, column))
    .reduce((sum, { amounts }) => sum + (amounts.get(column) ?? 0n), 0n);
  return claimed + (pending.get(column) ?? 0n);
}

/** Whether an applied batch applied a column of a target: what it left out is given back later. */
function isApplied(unapplied: ReadonlyMap<string, Unapplied> | undefined, target: string, column: string): boolean {
  if (unapplied === undefined) return false;
  const left = unapplied.get(target);
  if (left === undefined) return true;
  return 'columns' in left && left.columns !== undefined && !left.columns.includes(column);
}
