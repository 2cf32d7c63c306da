import type { DataSource, EntityMetadata, QueryRunner } from 'typeorm';

import { ConfigurationError } from '../errors';

/** What of a write query builder's expression map this library reads, and what it writes (`wheres`, and the columns of `onUpdate`). */
export interface ExpressionMap {
  readonly queryType: 'insert' | 'update' | 'delete' | 'soft-delete' | 'restore';
  readonly mainAlias?: { readonly hasMetadata: boolean; readonly metadata: EntityMetadata; readonly name: string };
  readonly valuesSet?: unknown;
  readonly callListeners?: boolean;
  readonly useTransaction?: boolean;
  readonly insertFromSelect?: unknown;
  readonly insertColumns?: readonly string[];
  readonly onIgnore?: string | boolean;
  readonly commonTableExpressions?: readonly { readonly queryBuilder: CommonTable }[];
  readonly onUpdate?: { overwrite?: string[]; columns?: string[]; conflict?: string | string[] } | undefined;
  wheres: { type: 'simple' | 'and' | 'or'; condition: string }[];
}

/** What a common table expression is made of: text, or another builder. */
type CommonTable = string | { readonly expressionMap: { readonly queryType: string } };

/** Commands that change rows, as words of a text. Words that only look like them do no harm. */
const WRITES = /\b(?:insert|update|delete|merge)\b/i;

/** Whether a common table expression of a builder changes rows: it is to run once, like the statement it stands before. */
export function hasWritingTables({ expressionMap }: Pick<WriteBuilder, 'expressionMap'>): boolean {
  return (expressionMap.commonTableExpressions ?? []).some(({ queryBuilder }) =>
    typeof queryBuilder === 'string' ? WRITES.test(queryBuilder) : queryBuilder.expressionMap.queryType !== 'select',
  );
}

/**
 * TypeORM's Insert-, Update-, Delete- and SoftDeleteQueryBuilder as seen from inside: the members, most of them
 * protected, that capturing relies on. {@link checkBuilder} finds out at attach when a release of TypeORM lacks one.
 */
export interface WriteBuilder {
  readonly expressionMap: ExpressionMap;
  readonly dataSource: DataSource;
  queryRunner?: QueryRunner | undefined;
  execute(): Promise<WriteResult>;
  createReturningExpression(type: 'insert' | 'update' | 'delete'): string;
  createPropertyPath(metadata: EntityMetadata, values: object): string[];
  createWhereExpression(): string;
  /** `WITH … `, where this release of TypeORM has it. */
  createCteExpression?(): string;
  replacePropertyNamesForTheWholeQuery(sql: string): string;
  getQueryAndParameters(): [string, unknown[]];
  getParameters(): Record<string, unknown>;
  setParameter(name: string, value: unknown): unknown;
}

/** InsertResult, UpdateResult or DeleteResult: passed on as it is. */
export type WriteResult = object;

const METHODS = [
  'execute',
  'createReturningExpression',
  'createPropertyPath',
  'createWhereExpression',
  'replacePropertyNamesForTheWholeQuery',
  'getQueryAndParameters',
  'getParameters',
  'setParameter',
] as const;

/**
 * One builder of each kind that writes. SoftDeleteQueryBuilder is not exported by TypeORM, so all are taken from
 * instances.
 */
export function writeBuilders(dataSource: DataSource): WriteBuilder[] {
  const builder = dataSource.manager.createQueryBuilder();
  return [builder.insert(), builder.update(), builder.delete(), builder.softDelete()] as unknown as WriteBuilder[];
}

/** @throws ConfigurationError when this release of TypeORM has not what capturing relies on */
export function checkBuilder(builder: WriteBuilder): void {
  const missing = [
    ...METHODS.filter((name) => typeof builder[name] !== 'function'),
    ...(['dataSource', 'expressionMap'] as const).filter((name) => typeof builder[name] !== 'object'),
  ];
  if (missing.length === 0) return;
  throw new ConfigurationError([
    `this release of TypeORM cannot be captured: ${builder.constructor.name} has no ${missing.join(', ')}. Use a release that package.json's peerDependencies name`,
  ]);
}
