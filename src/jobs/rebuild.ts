import { byShard } from '../buffer/shard';
import { CounterCacheError } from '../errors';
import { listTargets } from '../sql/list-targets';
import { withConnection } from '../sql/query';
import { allocateBarrier } from '../sql/snapshot';
import type { JobContext } from './context';

/** Targets listed per statement. */
const PAGE = 5_000;

/** Requests the recalculation, behind a barrier, of every target of shards that lost their data. */
export async function rebuild(context: JobContext, lost: readonly number[]): Promise<void> {
  if (lost.length === 0) return;
  const { buffer, dataSource, definitions, schedule, events } = context;
  const reason = `shards ${lost.join(', ')} of the buffer lost their data; their targets are recalculated`;
  events.emit('error', new CounterCacheError('BUFFER_LOST', reason, { shards: lost }));
  const barrier = await withConnection(dataSource, allocateBarrier);
  for (const kind of definitions.kinds.values()) {
    let after: readonly string[] | null = null;
    for (;;) {
      const rows: Awaited<ReturnType<typeof listTargets>> = await withConnection(dataSource, (runner) =>
        listTargets(runner, kind, { where: null, from: null, to: null, after, limit: PAGE }),
      );
      const groups = byShard(rows, ({ target }) => target, buffer.shards);
      for (const shard of lost) {
        const targets = (groups.get(shard) ?? []).map(({ target }) => target);
        if (targets.length > 0) await schedule(await buffer.request(shard, targets, { barrier, delay: 0 }));
      }
      if (rows.length < PAGE) break;
      after = rows.at(-1)?.key ?? null;
    }
  }
}
