import type { Held } from '../buffer/buffer';
import { byShard } from '../buffer/shard';
import { formatDecimal } from '../counter/amount';
import type { CounterColumn } from '../counter/definition';
import type { JobContext } from '../jobs/context';
import { withConnection } from '../sql/query';
import { readColumn } from '../sql/read-columns';

/** How often a read is repeated because amounts moved between buffer and column meanwhile. */
const ATTEMPTS = 20;

/** A counter as TypeORM hydrates its column; `null` where the row does not exist. */
export type CounterValue = number | string | null;

/**
 * Counters as if everything confirmed were applied: pending and claimed amounts, the column and the ledger in one SQL
 * statement, and the buffer's version again; repeated when an amount moved in between.
 *
 * @returns one value per target, in the order given
 */
export async function readCounters(
  context: JobContext,
  column: CounterColumn,
  targets: readonly string[],
): Promise<CounterValue[]> {
  const values = new Map<string, CounterValue>();
  for (const [shard, group] of byShard(new Set(targets), (target) => target, context.buffer.shards)) {
    const read = await readShard(context, column, shard, group);
    read.forEach((value, i) => values.set(group[i] ?? '', valueOf(column, value)));
  }
  return targets.map((target) => values.get(target) ?? null);
}

function valueOf({ sqlType, scale }: CounterColumn, amount: bigint | null): CounterValue {
  if (amount === null) return null;
  return sqlType === 'integer' || sqlType === 'smallint' ? Number(amount) : formatDecimal(amount, scale);
}

async function readShard(
  context: JobContext,
  column: CounterColumn,
  shard: number,
  targets: readonly string[],
): Promise<(bigint | null)[]> {
  for (let attempt = 1; ; attempt++) {
    const before = await context.buffer.read(shard, targets);
    const batches = [...new Set(before.held.flatMap(({ claims }) => claims.map(({ batch }) => batch)))];
    const { values, applied } = await withConnection(context.dataSource, (runner) =>
      readColumn(runner, context.tables, column, targets, batches),
    );
    const after = await context.buffer.read(shard, targets);
    if (before.version !== after.version && attempt < ATTEMPTS) continue;
    return values.map((value, i) => (value === null ? null : value + heldAmount(before.held[i], column.name, applied)));
  }
}

function heldAmount(held: Held | undefined, column: string, applied: ReadonlySet<string>): bigint {
  const claimed = (held?.claims ?? [])
    .filter(({ batch }) => !applied.has(batch))
    .reduce((sum, { amounts }) => sum + (amounts.get(column) ?? 0n), 0n);
  return claimed + (held?.pending.get(column) ?? 0n);
}
