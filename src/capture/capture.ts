import type { DataSource, EntityManager, EntityMetadata, QueryResult, QueryRunner } from 'typeorm';

import type { Definitions } from '../model/definition';
import type { Mode } from '../model/mode';
import type { Catalogue } from '../dialects/postgres/catalogue/catalogue';
import { ConfigurationError } from '../errors';
import { type ActionRoot, isRoot, planActions, plansBelow } from './actions/actions-plan';
import { cascadingDelete } from './actions/cascade';
import { exclusively, hasTurns } from './transaction/exclusive';
import { lockedUpdate, planUpsert, probedUpsert } from './lock-and-read';
import { oneAtATime } from './transaction/one-at-a-time';
import type { OpenTransaction } from './transaction/open-transaction';
import { following } from './paths';
import { appearingLinks, isRelevant, planTables, protectOverwrite, type TablePlan, unkeyed, writesKey } from './plan';
import { InlineOutbox, type InlineOutboxOptions } from './inline-outbox/inline-outbox';
import { inOwnTransaction } from './transaction/own-transaction';
import { Place } from './place';
import { DeltaCalculator, type DeltaOptions } from './delta-calculator';
import type { Refusals } from './refusals';
import { Recording, type RecordingTools } from './recording';
import { Returning, type Versions } from './returning';
import { versioned } from './row-version';
import { type OnNotPermitted, SpreadingReach } from './actions/spreading-reach';
import { sendByItself, sendOnce } from './send-once';
import type { Statement, Strategy } from './statement';
import { checkTrack, trackWork } from './track/track';
import { TrackedRows, type TrackWhere } from './track/tracked-rows';
import type { Transactions } from './transaction/transactions';
import { cascadingUpdate, spreads } from './actions/update-cascade';
import { withQuery } from '../typeorm/with-query';
import { hasWritingTables, type WriteBuilder, type WriteResult } from '../typeorm/write-builder';

/** What capturing needs of the library around it. */
export interface CaptureOptions extends DeltaOptions, InlineOutboxOptions {
  /** More is recounted than needed, since the role of a write could not see what it does. */
  readonly onNotPermitted: OnNotPermitted;
}

/** What is counted, and in what tables: plans are made from both. */
export interface CaptureBasis {
  readonly definitions: Definitions;
  readonly catalogue: Catalogue;
  /** Asks the database again what its tables are. */
  readonly refresh: () => Promise<Catalogue>;
  readonly refusals: Refusals;
}

/** How one write is captured. */
interface CaptureMode {
  readonly plan: TablePlan;
  readonly versions: Versions;
  readonly strategy: Strategy;
  /** The strategy sends one statement only, and minds no other between. */
  readonly alone: boolean;
}

/** PostgreSQL 18 returns old rows itself; before, and where a trigger or a rule may change rows, updates lock and read them first. */
const RETURNS_OLD = 18;

/** Turns the writes of one DataSource into deltas of the transactions they run in, as long as its tables stay as they are. */
export class Capture {
  readonly #dataSource: DataSource;
  readonly #transactions: Transactions;
  readonly #tools: RecordingTools;
  readonly #reach: SpreadingReach;
  readonly #refusals: Refusals;
  readonly #mode: Mode;
  readonly #plans: ReadonlyMap<EntityMetadata, TablePlan>;
  readonly #places: ReadonlyMap<EntityMetadata, Place>;
  /** The same plans for statements each of whose rows has one version only: none has to be told from another. */
  readonly #unkeyed: ReadonlyMap<TablePlan, TablePlan>;
  readonly #cascades: ReadonlyMap<string, ActionRoot>;
  readonly #updateCascades: ReadonlyMap<string, ActionRoot>;
  readonly #counterColumns: ReadonlyMap<EntityMetadata, ReadonlySet<string>>;
  /** Whether any counter has a path: deletions that spread may reach it. */
  readonly #followsPaths: boolean;

  constructor(
    dataSource: DataSource,
    { definitions, catalogue, refresh, refusals }: CaptureBasis,
    transactions: Transactions,
    options: CaptureOptions,
  ) {
    this.#dataSource = dataSource;
    this.#transactions = transactions;
    const basis = { dataSource, definitions, catalogue };
    this.#plans = planTables(basis);
    this.#unkeyed = new Map([...this.#plans.values()].map((plan) => [plan, unkeyed(plan)]));
    this.#places = new Map(
      dataSource.entityMetadatas.map((metadata) => [metadata, new Place(metadata, catalogue, refresh)]),
    );
    const calculator = new DeltaCalculator(options);
    const inlineOutbox = new InlineOutbox(dataSource, catalogue, this.#unkeyed.values(), calculator, options);
    this.#tools = { transactions, calculator, inlineOutbox };
    this.#refusals = refusals;
    this.#mode = options.mode;
    this.#reach = new SpreadingReach(transactions.roles, options.onNotPermitted);
    this.#cascades = planActions(basis, 'delete');
    this.#updateCascades = planActions(basis, 'update');
    this.#counterColumns = definitions.counterColumnsOf;
    this.#followsPaths = [...this.#plans.values()].some(({ followsPaths }) => followsPaths);
  }

  /** The hook for `hookWrites`: `null` for writes that feed no counter. */
  hook(builder: WriteBuilder, execute: () => Promise<WriteResult>): Promise<WriteResult> | null {
    const { expressionMap } = builder;
    if (expressionMap.mainAlias?.hasMetadata !== true) return null;
    const { metadata } = expressionMap.mainAlias;
    if (expressionMap.onUpdate !== undefined)
      protectOverwrite(expressionMap, this.#counterColumns.get(metadata) ?? new Set());
    const cascade = expressionMap.queryType === 'delete' ? this.#cascades.get(metadata.tablePath) : undefined;
    const update = expressionMap.queryType === 'update' ? this.#updateCascades.get(metadata.tablePath) : undefined;
    const plan = cascade?.plan ?? this.#plans.get(metadata) ?? update?.plan;
    if (plan === undefined) return null;
    const spreading = update !== undefined && spreads(update, builder) ? update : undefined;
    const isTracked = this.#isTracked(builder);
    // Tracked rows are known by their keys.
    const isRenaming = isTracked && expressionMap.queryType === 'update' && writesKey(plan, builder);
    if (spreading === undefined && !isRenaming && !isRelevant(plan, builder)) return null;
    const read = spreading?.plan ?? plan;
    const captureMode = this.#captureMode(
      builder,
      isTracked ? versioned(read, expressionMap.queryType) : read,
      cascade ?? spreading,
    );
    const spread = cascade ?? spreading;
    return oneAtATime(builder, () =>
      this.#capture(builder, captureMode, execute).catch((error: unknown) =>
        this.#explain(error, builder, { captureMode, spread }),
      ),
    );
  }

  /** Rejects with the error, or with what it comes from. */
  async #explain(
    error: unknown,
    builder: WriteBuilder,
    { captureMode, spread }: { readonly captureMode: CaptureMode; readonly spread: ActionRoot | undefined },
  ): Promise<never> {
    throw await this.#refusals.explain(error, {
      plan: captureMode.plan,
      below: spread === undefined ? [] : [...plansBelow(spread).values()],
      // A DELETE that may not lock does without.
      locks: !captureMode.alone && builder.expressionMap.queryType !== 'delete',
      usesOutbox: captureMode.plan.counters.some(({ mode }) => (mode ?? this.#mode) === 'outbox'),
      plain: () => builder.getQueryAndParameters(),
      runner: builder.queryRunner ?? null,
    });
  }

  /**
   * Counts what `work` does to matching rows in any way, and to the rows that the database deletes or changes with
   * them. What is committed by others in between may be counted twice, so every target is repaired as well.
   */
  async track<Result>(
    manager: EntityManager,
    metadata: EntityMetadata,
    where: TrackWhere,
    work: (manager: EntityManager) => Promise<Result>,
  ): Promise<Result> {
    checkTrack(manager, metadata, work);
    const plan = this.#plans.get(metadata);
    if (plan === undefined)
      throw new ConfigurationError([`expected an entity that a counter counts or is kept on, got: ${metadata.name}`]);
    const runner = manager.queryRunner;
    const open = runner && (await this.#openOn(runner));
    if (runner === undefined || open === undefined)
      return manager.transaction((own) => this.track(own, metadata, where, work));
    const node = this.#cascades.get(metadata.tablePath);
    const rows = new TrackedRows(manager, {
      metadata,
      where,
      node,
      plan: node?.plan ?? this.#rootPlan(plan),
      place: this.#placeOf(metadata),
    });
    const track = { ...this.#tools, runner, open, rows, onNotPermitted: this.#reach.onNotPermitted };
    return trackWork(track, () => work(manager));
  }

  #placeOf(metadata: EntityMetadata): Place {
    const place = this.#places.get(metadata);
    if (place === undefined) throw new Error(`no place is known of ${metadata.name}`);
    return place;
  }

  #isTracked({ queryRunner }: WriteBuilder): boolean {
    return queryRunner !== undefined && this.#transactions.current(queryRunner)?.isTracked === true;
  }

  /** The transaction that a query runner is in, raw ones included; not one of ours around a single statement. */
  async #openOn(runner: QueryRunner): Promise<OpenTransaction | undefined> {
    const known = this.#transactions.current(runner);
    if (known !== undefined && !known.isSingle) return known;
    return this.#transactions.adoptUnseen(runner);
  }

  /** Rows may become ones of another class of the table: their root's plan reads what all of them need. */
  #rootPlan(plan: TablePlan): TablePlan {
    const { tablePath } = plan.metadata;
    const plans = [...this.#plans.values()];
    return plans.find(({ metadata }) => metadata.tablePath === tablePath && isRoot(metadata)) ?? plan;
  }

  #captureMode(builder: WriteBuilder, plan: TablePlan, cascade: ActionRoot | undefined): CaptureMode {
    const captureMode = this.#direct(builder, plan, cascade);
    if (!(cascade === undefined ? plan.followsPaths : this.#followsPaths)) return captureMode;
    const isInsert = builder.expressionMap.queryType === 'insert';
    const appearing = () => (isInsert ? appearingLinks(plan, builder) : 'all');
    return {
      ...captureMode,
      strategy: following(captureMode.strategy, appearing, this.#reach.onNotPermitted),
      alone: false,
    };
  }

  /** The entity of a table whose rows count somewhere, or stand between; by the table's name without schema. */
  countedTable(name: string): EntityMetadata | undefined {
    const plans = [...this.#plans.values()].filter(({ counters, links }) => counters.length + links.length > 0);
    return plans.find(({ metadata }) => metadata.tableName === name)?.metadata;
  }

  get #returnsOld(): boolean {
    const { version } = this.#dataSource.driver as { version?: string };
    return Number.parseInt(version ?? '', 10) >= RETURNS_OLD;
  }

  /** How a write is captured, by what the database can return. */
  #direct(builder: WriteBuilder, plan: TablePlan, cascade: ActionRoot | undefined): CaptureMode {
    const { queryType, onUpdate } = builder.expressionMap;
    if (cascade !== undefined) {
      const isUpdate = queryType === 'update';
      const strategy = (isUpdate ? cascadingUpdate : cascadingDelete)(cascade, this.#reach);
      // Which rows those are that it changed is asked of itself then, and it may have changed their keys.
      const versions = isUpdate && this.#returnsOld && hasWritingTables(builder) ? 'old-and-new' : 'row';
      return { plan, versions, strategy, alone: false };
    }
    if (queryType === 'delete' || (queryType === 'insert' && onUpdate === undefined))
      return { plan: this.#unkeyed.get(plan) ?? plan, versions: 'row', strategy: sendOnce, alone: true };
    const isStale = plan.returnsStaleRows && queryType !== 'insert';
    if (this.#returnsOld && !isStale) return { plan, versions: 'old-and-new', strategy: sendOnce, alone: true };
    if (queryType === 'insert')
      return {
        plan: planUpsert(builder, plan),
        versions: plan.systemColumns === 'always' ? 'marked-row' : 'counted-row',
        strategy: probedUpsert,
        alone: false,
      };
    return { plan, versions: 'row', strategy: lockedUpdate, alone: false };
  }

  /**
   * Executes a builder with our RETURNING columns, through a query runner that hands its one statement to the strategy.
   * Listeners and subscribers run where they always did: around the statement, outside a transaction of ours.
   */
  async #capture(
    builder: WriteBuilder,
    captureMode: CaptureMode,
    execute: () => Promise<WriteResult>,
  ): Promise<WriteResult> {
    const given = builder.queryRunner;
    const runner = given ?? this.#dataSource.createQueryRunner();
    const { plan, versions } = captureMode;
    const place = this.#placeOf(plan.metadata);
    const returning = Returning.addTo(builder, plan, versions, place);
    const recording = new Recording(this.#tools, builder, runner, plan, place);
    const record: Statement['record'] = (id, tables) => recording.recordTables(id, tables);
    builder.queryRunner = withQuery(runner, (sql, parameters = []) => {
      const recordSlice = recording.slicing();
      const statement = { runner, builder, plan, returning, recording, record, recordSlice, sql, parameters };
      return this.#send(statement, captureMode, given !== undefined);
    });
    try {
      return await execute();
    } finally {
      returning.removeFrom(builder);
      builder.queryRunner = given;
      if (given === undefined) await runner.release();
    }
  }

  /** `isShared`: others may use the query runner of the statement. */
  #send(statement: Statement, captureMode: CaptureMode, isShared: boolean): Promise<QueryResult> {
    const open = this.#transactions.current(statement.runner);
    if (captureMode.alone && isPlain(open)) return this.#sendIn(open, statement, captureMode.strategy);
    return this.#sendOnceClear(statement, captureMode, isShared);
  }

  /** Sends a statement once it is clear what transaction it is part of. */
  async #sendOnceClear(
    statement: Statement,
    { strategy, alone }: CaptureMode,
    isShared: boolean,
  ): Promise<QueryResult> {
    const { runner } = statement;
    const work = () => this.#inTransaction(statement, strategy);
    for (;;) {
      const open = this.#transactions.current(runner);
      // Sent behind COMMIT, the parts of a statement would run outside any transaction, and keep no lock for each other.
      if (open?.isInDoubt === true && !open.isSingle) await this.#transactions.clarify(runner, open);
      const known = this.#transactions.current(runner);
      if (alone && isPlain(known)) return this.#sendIn(known, statement, strategy);
      const isOutside = alone && !isShared && known === undefined;
      const answer =
        (isOutside ? await sendByItself(statement, this.#transactions) : null) ??
        // One of our own is shared as soon as a subscriber writes on it.
        (await (isShared || hasTurns(runner) ? exclusively(runner, work) : work()));
      if (answer !== null) return answer;
    }
  }

  #sendIn(open: OpenTransaction, statement: Statement, strategy: Strategy): Promise<QueryResult> {
    return this.#transactions.during(open, statement.runner, () => strategy(statement));
  }

  /**
   * A statement outside a transaction gets one of its own. `null`, and nothing is done, when it has to be tried again: it is
   * not clear whether a transaction has begun, or is about to end.
   */
  async #inTransaction(statement: Statement, strategy: Strategy): Promise<QueryResult | null> {
    const { runner } = statement;
    const known = this.#transactions.current(runner);
    if (known?.isInDoubt === true) return null;
    const open = known ?? (await this.#transactions.adoptUnseen(runner));
    if (open !== undefined) return this.#sendIn(open, statement, strategy);
    return inOwnTransaction(this.#transactions, statement, strategy);
  }
}

/** A transaction of the caller's that is under way. */
function isPlain(open: OpenTransaction | undefined): open is OpenTransaction {
  return open !== undefined && !open.isSingle && !open.isInDoubt;
}
