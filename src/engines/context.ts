import type { DataSource } from 'typeorm';

import type { DeltaBuffer } from './buffered/buffer';
import type { WakeUp } from '../model/pending';
import type { CounterColumn, Definitions, TargetTable } from '../model/definition';
import { isKeyless, keyValuesOf, tableIdOf } from '../model/target';
import type { Events } from '../events';
import type { ResolvedCountersOptions } from '../options';
import type { TablePaths } from '../dialects/postgres/installation/tables';

/** What jobs work with. */
export interface JobContext {
  readonly dataSource: DataSource;
  readonly tables: TablePaths;
  readonly definitions: Definitions;
  readonly buffer: DeltaBuffer;
  /** See `Installation.bindToHome`. */
  readonly bindToHome?: ((dataSource: DataSource) => Promise<void>) | null;
  readonly options: ResolvedCountersOptions;
  readonly events: Events;
  /** Adds wake-ups; never rejects. */
  readonly schedule: (wakeUps: readonly WakeUp[]) => Promise<void>;
  /** The wake-up for what waits in a shard and this process does not know; see `HandOvers.wakeUp`. */
  readonly handOver: (shard: number, overdue: number | null) => WakeUp;
  /** The library's tables were found empty: opens them again, in the background. */
  readonly onEmptied?: () => void;
  /** The worker is closing: what is claimed is finished, and nothing more is begun. */
  readonly isStopping: () => boolean;
}

/** The table of a target id, if this process knows it. */
export function targetTableOf(definitions: Definitions, target: string): TargetTable | undefined {
  return definitions.targetTables.get(tableIdOf(target));
}

/** A target as events name it. */
export function describeTarget(definitions: Definitions, target: string): { entity: string; id: string } {
  const id = isKeyless(target) ? 'NULL' : keyValuesOf(target).join(',');
  return { entity: targetTableOf(definitions, target)?.metadata.name ?? tableIdOf(target), id };
}

/** Columns that a scheduled recalculation covers: those whose counters want one. */
export function scheduledColumns(targetTable: TargetTable): CounterColumn[] {
  return [...targetTable.columns.values()].filter(({ counters }) =>
    counters.some(({ recalculation }) => recalculation !== false),
  );
}
