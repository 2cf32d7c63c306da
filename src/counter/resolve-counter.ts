import { createHash } from 'node:crypto';

import type { Amount, Counter, RecountMethod, SourceEntity } from './definition';
import { hydrator } from './hydrate';
import { columnsOfInterest } from './relevant-columns';
import { resolveAmount } from './resolve-amount';
import { resolveCounterColumn, resolveTouch } from './resolve-column';
import { type Endpoint, type ResolveContext, resolveTargets } from './resolve-targets';
import { type ColumnMetadata, scaleOf } from './sql-type';
import { findAllStored, storedColumns, suggestColumn } from './stored-column';
import { compileWhere, type Where } from './where';

/** A target of a counter before its columns are shared with other counters. */
export interface TargetDraft extends Endpoint {
  readonly columns: readonly ColumnMetadata[];
  readonly touch: ColumnMetadata | null;
}

/** A counter before its targets are linked. */
export interface CounterDraft extends Omit<Counter, 'targets'> {
  readonly targets: readonly TargetDraft[];
  /** Source columns that the declaration names by property, for the check that none is a counter. */
  readonly named: readonly { readonly option: string; readonly column: string }[];
  /** Source, way and columns: what may be declared only once. */
  readonly identity: string;
}

/** Resolves one declaration against TypeORM's metadata; reports every mistake, and then the result is not to be used. */
export function resolveCounter(context: ResolveContext): CounterDraft | null {
  const { metadata, parsed, dataSource, label, report } = context;
  if (metadata.tableType === 'view')
    report(`expected the source to be a table, got: the view ${metadata.name}. Count the rows of the table behind it`);
  const endpoints = resolveTargets(context);
  const targets = endpoints.map((endpoint) => draftTarget(endpoint, context));
  const amount = resolveAmount(
    targets.flatMap(({ columns }) => columns),
    context,
  );
  const where =
    parsed.where === undefined
      ? null
      : compileWhere(parsed.where, { metadata, driver: dataSource.driver, problem: report });
  const deletedColumn = resolveDeleted(context);
  const reads = resolveReads(context);
  const method = resolveMethod(endpoints, context);
  if (amount === null || targets.length === 0) return null;
  const discriminator = discriminatorOf(context);
  const parts: Parts = { targets, amount, where, deletedColumn, reads, discriminator };
  const interest = columnsOfInterest(metadata, looksOf(parts, context));
  const [first] = endpoints;
  const identity = identityOf(context);
  return {
    name: parsed.name ?? identity,
    label,
    source: metadata,
    targets,
    typeColumn: first?.type?.column ?? null,
    ignoredTypes: new Set(parsed.polymorphic?.ignore),
    column: parsed.column as Counter['column'],
    condition: parsed.condition as Counter['condition'],
    where,
    amount,
    wait: parsed.wait as Counter['wait'],
    recalculation: parsed.recalculation,
    method,
    batchSize: parsed.batchSize,
    deletedColumn,
    discriminator,
    relevant: interest.relevant,
    needs: interest.needs,
    sql:
      method === null && parsed.condition === null && amount.from !== 'function' && typeof parsed.column === 'string',
    hydrate: hydrator(metadata, interest.needs, dataSource.driver),
    hash: hashOf(parts, context),
    named: namedColumns(parts),
    identity,
  };
}

interface Parts {
  readonly targets: readonly TargetDraft[];
  readonly amount: Amount;
  readonly where: Where | null;
  readonly deletedColumn: string | null;
  readonly reads: readonly string[] | null;
  readonly discriminator: Counter['discriminator'];
}

function draftTarget(endpoint: Endpoint, context: ResolveContext): TargetDraft {
  const { column, columns } = context.parsed;
  const properties = typeof column === 'string' ? [column] : (columns ?? []);
  const found = properties.map((property) => resolveCounterColumn(endpoint.metadata, property, context));
  return { ...endpoint, columns: found.filter((one) => one !== null), touch: resolveTouch(endpoint.metadata, context) };
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
    if (columns.length === 0)
      report(`unknown property '${path}' of ${metadata.name}, in 'reads'${suggestColumn(metadata, path)}`);
    return columns.map(({ databaseName }) => databaseName);
  });
}

function resolveMethod(endpoints: readonly Endpoint[], { parsed, report }: ResolveContext): RecountMethod | null {
  const { method, column } = parsed;
  if (method === null) return null;
  if (typeof column === 'function')
    report(
      "expected no 'method' with a function as 'column', got both: one method cannot recount several columns. Remove 'method'",
    );
  if (typeof method === 'function') return method as RecountMethod;
  for (const { metadata } of endpoints) {
    const prototype =
      typeof metadata.target === 'function' ? (metadata.target.prototype as Record<string, unknown>) : {};
    if (typeof prototype[method] !== 'function')
      report(
        `expected 'method' to be a method of ${metadata.name}, got: '${method}', which it has not. Add it, or pass a function (target, manager) => …`,
      );
  }
  return (target, manager) =>
    (target as Record<string, RecountMethodOfTarget>)[method]?.call(target, manager) ??
    Promise.reject(new TypeError(`${method} is not a method`));
}

type RecountMethodOfTarget = (manager: Parameters<RecountMethod>[1]) => ReturnType<RecountMethod>;

function discriminatorOf({ metadata }: ResolveContext): Counter['discriminator'] {
  const column = metadata.discriminatorColumn?.databaseName;
  if (metadata.tableType !== 'entity-child' || column === undefined) return null;
  const values = [metadata, ...metadata.childEntityMetadatas].map(({ discriminatorValue }) =>
    String(discriminatorValue),
  );
  return Object.freeze({ column, values: Object.freeze(values) });
}

function looksOf(
  { targets, amount, where, deletedColumn, reads, discriminator }: Parts,
  { metadata, parsed }: ResolveContext,
): Parameters<typeof columnsOfInterest>[1] {
  const named = [
    ...targets.flatMap(({ foreignKeys, type }) => [
      ...foreignKeys.map(({ name }) => name),
      ...(type === null ? [] : [type.column]),
    ]),
    ...(amount.from === 'column' ? [amount.column] : []),
    ...(where?.columns ?? []),
    ...(deletedColumn === null ? [] : [deletedColumn]),
    ...(discriminator === null ? [] : [discriminator.column]),
  ];
  const functionsCount = parsed.condition !== null || amount.from === 'function' || typeof parsed.column === 'function';
  if (!functionsCount && typeof parsed.wait !== 'function') return { named, seen: null, functionsCount };
  const all = reads ?? storedColumns(metadata).map(({ databaseName }) => databaseName);
  // What a function sees is of the class that the discriminator tells.
  const type = metadata.inheritancePattern === 'STI' ? metadata.discriminatorColumn?.databaseName : undefined;
  return { named, seen: type === undefined ? all : [...all, type], functionsCount };
}

function namedColumns({ amount, where, reads }: Parts): CounterDraft['named'] {
  return [
    ...(amount.from === 'column' ? [{ option: 'incrementBy', column: amount.column }] : []),
    ...(where?.columns ?? []).map((column) => ({ option: 'where', column })),
    ...(reads ?? []).map((column) => ({ option: 'reads', column })),
  ];
}

/** For messages, best effort when something is wrong: `Post.author → User.postsCount`. */
export function labelOf({ metadata, parsed, dataSource }: Omit<ResolveContext, 'label' | 'report'>): string {
  return `${metadata.name}.${wayOf(parsed)} → ${destinationOf({ metadata, parsed, dataSource })}`;
}

function identityOf(context: ResolveContext): string {
  return `${context.metadata.name}.${wayOf(context.parsed)}>${destinationOf(context)}`;
}

function wayOf({ relation, polymorphic }: ResolveContext['parsed']): string {
  return relation ?? polymorphic?.id ?? '?';
}

function destinationOf({
  metadata,
  parsed,
  dataSource,
}: Pick<ResolveContext, 'metadata' | 'parsed' | 'dataSource'>): string {
  const relation = metadata.relations.find(({ propertyPath }) => propertyPath === parsed.relation);
  const entities = [...(parsed.polymorphic?.targets.values() ?? [])].flatMap((entity) =>
    dataSource.hasMetadata(entity) ? [dataSource.getMetadata(entity).name] : [],
  );
  const targets = relation === undefined ? entities : [relation.inverseEntityMetadata.name];
  const columns = typeof parsed.column === 'string' ? parsed.column : (parsed.columns ?? []).join('|');
  return `${[...new Set(targets)].join('|') || '?'}.${columns}`;
}

function hashOf(
  { targets, amount, where, deletedColumn, discriminator }: Parts,
  { metadata, parsed, dataSource }: ResolveContext,
): string {
  const meaning = {
    source: metadata.tablePath,
    discriminator,
    deletedColumn,
    targets: targets.map(({ metadata: target, keys, foreignKeys, type, columns }) => ({
      table: target.tablePath,
      keys,
      foreignKeys,
      type,
      columns: columns.map((column) => [column.databaseName, scaleOf(column, dataSource.driver)]),
    })),
    column: text(parsed.column),
    condition: text(parsed.condition),
    where:
      where?.toSql(
        '',
        (value) => JSON.stringify(value),
        (name) => JSON.stringify(name),
      ) ?? null,
    amount:
      amount.from === 'column'
        ? amount
        : { from: amount.from, value: text(amount.from === 'constant' ? amount.value : amount.fn) },
    method: text(parsed.method),
  };
  return createHash('sha256').update(JSON.stringify(meaning)).digest('hex');
}

// Text, because a function's source is the best there is, and a bigint has no JSON.
function text(value: string | number | bigint | ((...args: never[]) => unknown) | null): string | null {
  return value === null ? null : String(value);
}
