import type { Counter, CounterTarget, Definitions, KeyColumn, PathStep, TargetKind } from '../../../model/definition';
import type { OwnTables } from '../installation/tables';
import { Needs, ownNeed, type TableNeed } from './table-need';

/** What opening the installation does, in every process. */
export function openingNeeds({ state, shard, outbox }: OwnTables): readonly TableNeed[] {
  return [ownNeed(state), ownNeed(shard), ownNeed(outbox)];
}

/** What opening it for the first time does. */
export function foundingNeeds({ state, shard, outbox }: OwnTables): readonly TableNeed[] {
  const more = { insert: true, update: 'every' } as const;
  return [ownNeed(state, more), ownNeed(shard, more), ownNeed(outbox)];
}

/** What recounting does: it reads every source, every target, and every intermediate row. */
export function countingNeeds(definitions: Definitions, own: OwnTables): readonly TableNeed[] {
  return [...openingNeeds(own), ownNeed(own.ledger), ...tablesOf(definitions, false)];
}

/** What a worker does: it recounts, applies, and keeps the library's own tables. */
export function workerNeeds(definitions: Definitions, own: OwnTables): readonly TableNeed[] {
  return [
    ownNeed(own.state, { insert: true, update: 'every', delete: true }),
    ownNeed(own.shard, { insert: true, update: 'every' }),
    ownNeed(own.ledger, { insert: true, update: 'every', delete: true }),
    ownNeed(own.outbox, { update: 'every', delete: true }),
    ...tablesOf(definitions, true),
  ];
}

function tablesOf({ kinds, counters }: Definitions, isChanging: boolean): readonly TableNeed[] {
  const needs = new Needs();
  for (const kind of kinds.values()) {
    const update = isChanging ? [...kind.columns.keys(), ...kind.touches.keys()] : [];
    needs.add(kind.tablePath, { select: readOf(kind), update });
  }
  for (const counter of counters) {
    needs.add(counter.source.tablePath, { select: sourceColumns(counter) });
    for (const step of counter.targets.flatMap(({ path }) => path?.steps ?? []))
      needs.add(step.metadata.tablePath, { select: stepColumns(step) });
  }
  return needs.list();
}

function readOf({ keys, columns, touches, metadata }: TargetKind): readonly string[] {
  // A method is given the whole row.
  const isLoaded = [...columns.values()].some(({ counters }) => counters.some(({ method }) => method !== null));
  const loaded = isLoaded ? metadata.columns.map(({ databaseName }) => databaseName) : [];
  return [...namesOf(keys), ...columns.keys(), ...touches.keys(), ...loaded];
}

function sourceColumns(counter: Counter): readonly string[] {
  return [...counter.needs, ...counter.targets.flatMap(ownColumns)];
}

/** Of the source: what a path leads to lies elsewhere. */
function ownColumns({ foreignKeys, path }: CounterTarget): readonly string[] {
  return namesOf(path?.entry ?? foreignKeys);
}

/** What is read of an intermediate row. */
export function stepColumns({ keys, foreignKeys, deletedColumn, where }: PathStep): readonly string[] {
  return [
    ...namesOf(keys),
    ...namesOf(foreignKeys),
    ...(deletedColumn === null ? [] : [deletedColumn]),
    ...(where?.columns ?? []),
  ];
}

function namesOf(columns: readonly KeyColumn[]): readonly string[] {
  return columns.map(({ name }) => name);
}
