// The worker process: applies pending deltas to the counter columns. Run as many as you like.
import type { ColumnChange } from 'typeorm-counter-cache';

import { connect } from './connect';
import { type Applied, tell } from './messages';
import { readSettings } from './settings';
import { closeAtEnd } from './shutdown';

async function main(): Promise<void> {
  const { counters, close } = await connect(readSettings(process.env));
  counters
    .on('reconciled', ({ changes, updates }) => tell({ kind: 'applied', ...summarize(changes, updates) }))
    .on('failed', ({ entity, id, reason }) => console.error(`worker: ${entity} ${id} refuses its counters: ${reason}`))
    .on('drift', ({ drifts }) => {
      const found = drifts.map(
        (drift) => `${drift.entity} ${drift.id}: ${drift.column} ${drift.wrong} → ${drift.right}`,
      );
      console.error(`worker: a recalculation found drift\n${found.join('\n')}`);
      tell({ kind: 'drift', found });
    });
  await counters.startWorker({ concurrency: 4 });
  closeAtEnd('worker', close);
  tell({ kind: 'ready' });
}

function summarize(changes: readonly ColumnChange[], statements: number): Applied {
  const columns: Record<string, number> = {};
  for (const { entity, column } of changes) {
    const name = `${entity}.${column}`;
    columns[name] = (columns[name] ?? 0) + 1;
  }
  return { statements, rows: new Set(changes.map(({ entity, id }) => `${entity} ${id}`)).size, columns };
}

main().catch((error: unknown) => {
  console.error('worker:', error);
  process.exit(1);
});
