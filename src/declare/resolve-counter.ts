import type { EntityMetadata } from 'typeorm';

import type { Amount, Counter } from '../model/definition';
import { hydrator } from '../model/hydrate';
import { columnsOfInterest, type Looks } from '../model/relevant-columns';
import { resolveAmount } from './resolve-amount';
import { resolveCounterColumn, resolveTouch } from './resolve-column';
import { methodTextOf, resolveMethod } from './resolve-method';
import type { Endpoint, ResolveContext } from './endpoint';
import { resolveTargets } from './resolve-targets';
import type { ColumnMetadata } from '../model/sql-type';
import { findAllStored, storedColumns, suggestColumn } from '../model/stored-column';
import { compileWhere, type Where } from '../model/where/where';

/** A target of a counter before its columns are shared with other counters. */
export interface TargetDraft extends Endpoint {
  readonly columns: readonly ColumnMetadata[];
  readonly touch: ColumnMetadata | null;
}

/** A counter before its targets are linked. */
export interface CounterDraft extends Omit<Counter, 'targets'> {
  readonly targets: readonly TargetDraft[];
  /** Columns that the declaration names by property, for the check that none is a counter. */
  readonly named: readonly { readonly option: string; readonly metadata: EntityMetadata; readonly column: string }[];
  /** Source, way and columns: what may be declared only once. */
  readonly identity: string;
}

/** What makes up a contribution, resolved. */
export interface Parts {
  readonly targets: readonly TargetDraft[];
  readonly amount: Amount;
  readonly where: Where | null;
  readonly deletedColumn: string | null;
  /** `null`: all columns. */
  readonly reads: readonly string[] | null;
  readonly discriminator: Counter['discriminator'];
}

/** Resolves one declaration against TypeORM's metadata; reports every mistake, and then the result is not to be used. */
export function resolveCounter(context: ResolveContext): CounterDraft | null {
  const parts = resolveParts(context);
  const method = resolveMethod(parts.targets, context);
  return parts.amount === null || parts.targets.length === 0
    ? null
    : draft({ ...parts, amount: parts.amount }, method, context);
}

function resolveParts(context: ResolveContext): Omit<Parts, 'amount'> & { readonly amount: Amount | null } {
  const { metadata, dataSource, report } = context;
  if (metadata.tableType === 'view') {
    report(`expected the source to be a table, got: the view ${metadata.name}. Count the rows of the table behind it`);
  }
  const { endpoints, where } = resolveTargets(context);
  const targets = endpoints.map((endpoint) => draftTarget(endpoint, context));
  const { driver } = dataSource;
  return {
    targets,
    amount: resolveAmount(
      targets.flatMap(({ columns }) => columns),
      context,
    ),
    where: where === undefined ? null : compileWhere(where, { metadata, driver, problem: report }),
    deletedColumn: resolveDeleted(context),
    reads: resolveReads(context),
    discriminator: discriminatorOf(context),
  };
}

function draft(parts: Parts, method: Counter['method'], context: ResolveContext): CounterDraft {
  const { metadata, parsed, dataSource, label, identity } = context;
  const { targets, amount, where, deletedColumn, discriminator } = parts;
  const { relevant, needs } = columnsOfInterest(metadata, looksOf(parts, context));
  return {
    name: parsed.name ?? identity,
    label,
    source: metadata,
    targets,
    typeColumn: targets[0]?.type?.column ?? null,
    ignoredTypes: new Set(parsed.polymorphic?.ignore),
    column: parsed.column as Counter['column'],
    condition: parsed.condition as Counter['condition'],
    where,
    amount,
    wait: parsed.wait as Counter['wait'],
    recalculation: parsed.recalculation,
    method,
    methodText: methodTextOf(targets, context),
    flushAt: parsed.flushAt,
    mode: parsed.mode,
    deletedColumn,
    discriminator,
    relevant,
    needs,
    sql: method === null && !hasCountingFunction(parts, context),
    hydrate: hydrator(metadata, needs, dataSource.driver),
    named: namedColumns(parts, metadata),
    identity,
  };
}

function draftTarget(endpoint: Endpoint, context: ResolveContext): TargetDraft {
  const { column, columns } = context.parsed;
  const properties = typeof column === 'string' ? [column] : (columns ?? []);
  const found = properties.map((property) => resolveCounterColumn(endpoint.metadata, property, context));
  return {
    ...endpoint,
    columns: found.filter((one) => one !== null),
    touch: resolveTouch(endpoint.metadata, context),
  };
}

function resolveDeleted({ metadata, parsed, report }: ResolveContext): string | null {
  const { deleteDateColumn } = metadata;
  if (parsed.includeSoftDeleted && deleteDateColumn === undefined) {
    report(
      `expected ${metadata.name} to have a @DeleteDateColumn, as 'includeSoftDeleted: true' is about it, got none. Remove the option`,
    );
  }
  return parsed.includeSoftDeleted ? null : (deleteDateColumn?.databaseName ?? null);
}

function resolveReads({ metadata, parsed, report }: ResolveContext): readonly string[] | null {
  if (parsed.reads === null) return null;
  return parsed.reads.flatMap((path) => {
    const columns = findAllStored(metadata, path);
    if (columns.length === 0) {
      report(`unknown property '${path}' of ${metadata.name}, in 'reads'${suggestColumn(metadata, path)}`);
    }
    return columns.map(({ databaseName }) => databaseName);
  });
}

function discriminatorOf({ metadata }: ResolveContext): Counter['discriminator'] {
  const column = metadata.discriminatorColumn?.databaseName;
  if (metadata.tableType !== 'entity-child' || column === undefined) return null;
  const classes = [metadata, ...metadata.childEntityMetadatas];
  const values = classes.map(({ discriminatorValue }) => String(discriminatorValue));
  return Object.freeze({ column, values: Object.freeze(values) });
}

function hasCountingFunction({ amount }: Parts, { parsed }: ResolveContext): boolean {
  return parsed.condition !== null || amount.from === 'function' || typeof parsed.column === 'function';
}

function looksOf(parts: Parts, context: ResolveContext): Looks {
  const { targets, amount, where, deletedColumn, discriminator, reads } = parts;
  const { metadata, parsed } = context;
  const named = [
    ...targets.flatMap(({ path, foreignKeys }) => (path?.entry ?? foreignKeys).map(({ name }) => name)),
    ...targets.map(({ type }) => type?.column),
    amount.from === 'column' ? amount.column : undefined,
    ...(where?.columns ?? []),
    deletedColumn,
    discriminator?.column,
  ].filter((name) => typeof name === 'string');
  const functionsCount = hasCountingFunction(parts, context);
  if (!functionsCount && typeof parsed.wait !== 'function') return { named, seen: null, functionsCount };
  const all = reads ?? storedColumns(metadata).map(({ databaseName }) => databaseName);
  // What a function sees is of the class that the discriminator names.
  const type = metadata.inheritancePattern === 'STI' ? metadata.discriminatorColumn?.databaseName : undefined;
  return { named, seen: type === undefined ? all : [...all, type], functionsCount };
}

function namedColumns({ amount, where, reads, targets }: Parts, metadata: EntityMetadata): CounterDraft['named'] {
  const steps = targets.flatMap(({ path }) => path?.steps ?? []);
  return [
    ...(amount.from === 'column' ? [{ option: 'incrementBy', metadata, column: amount.column }] : []),
    ...(where?.columns ?? []).map((column) => ({ option: 'where', metadata, column })),
    ...steps.flatMap((step) =>
      (step.where?.columns ?? []).map((column) => ({ option: 'where', metadata: step.metadata, column })),
    ),
    ...(reads ?? []).map((column) => ({ option: 'reads', metadata, column })),
  ];
}
