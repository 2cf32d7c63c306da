import { AsyncLocalStorage } from 'node:async_hooks';

import {
  type DataSource,
  type EntityManager,
  type EntityTarget,
  type FindOptionsWhere,
  InstanceChecker,
  type ObjectLiteral,
} from 'typeorm';

import { attachTo } from './typeorm/attachment';
import { DeltaPublisher } from './publish/delta-publisher';
import { type RunningCapture, startCapture } from './capture/start-capture';
import { checkArgument, metadataOf } from './check-arguments';
import type { Counter } from './model/definition';
import { resolveDefinitions } from './declare/registry';
import type { Countable, PathsOf } from './model/property-types';
import { CounterCacheError, notInitialized } from './errors';
import { type CountersEvents, Events } from './events';
import { FollowedTables } from './followed-tables';
import { Installer } from './installation';
import { type Hooks, hooksOf, noteInternals } from './internals';
import type { JobContext } from './engines/context';
import { flush, retryFailed } from './worker/flush';
import type { ReconcileReport } from './engines/buffered/reconcile';
import type { RecountFilter } from './recount/recount-filter';
import { type RecountReport, recountRun } from './recount/recount-run';
import { type Arrival, StartedWorkers } from './worker/started-workers';
import type { TargetFilter, TargetKey } from './engines/targets';
import { CounterWorker, type WorkerOptions } from './worker/worker';
import { type LogEntry, readLog } from './read/log';
import { type CounterValue, readGiven, type ReadOptions } from './read/read';
import { type CountersStatus, readStatus } from './read/status';
import { type CountersOptions, type ResolvedCountersOptions, resolveOptions } from './options';
import { Opening } from './opening';
import { Permissions } from './dialects/postgres/permissions/permissions';
import { reportForgotten, reportTruncated, reportUnknownType, reportUnseenEnd } from './reports';
import { Residence } from './residence';
import { withConnection } from './dialects/postgres/query';
import { writeApart } from './dialects/postgres/outbox/write-apart';
import {
  besidePool,
  endSideConnection,
  renewSideConnection,
  sideConnectionOf,
} from './dialects/postgres/side-connection';
import { allocateBarrier } from './dialects/postgres/snapshot';
import { withTimeout } from './time-limit';

/** How long `close()` waits for transactions that have captured something, ms. */
const COMMIT_LIMIT = 5_000;

/** How long `close()` waits for an installation that is being opened, and what goes on in the background, ms. */
const IDLE_LIMIT = 5_000;

/**
 * The counter caches of one DataSource.
 *
 * @example
 * const counters = await Counters.attach(dataSource, { redis: 'redis://localhost' });
 * const worker = await counters.startWorker();
 */
export class Counters {
  readonly #dataSource: DataSource;
  readonly #options: ResolvedCountersOptions;
  readonly #hooks: Hooks;
  readonly #events: Events;
  readonly #installer: Installer;
  readonly #publisher: DeltaPublisher;
  readonly #residence: Residence;
  readonly #skipping = new AsyncLocalStorage<true>();
  readonly #workers = new StartedWorkers();
  readonly #opening: Opening;
  #capture: RunningCapture | null = null;
  #detach: () => void = () => undefined;
  #closing: Promise<void> | null = null;
  #isClosed = false;

  private constructor(dataSource: DataSource, options: ResolvedCountersOptions, hooks: Hooks) {
    this.#dataSource = dataSource;
    this.#options = options;
    this.#hooks = hooks;
    this.#events = new Events((error) => options.logger.error('typeorm-counter-cache', { error }));
    this.#residence = new Residence(dataSource, this.#events, options.sweepInterval, {
      onMoved: () => this.#opening.reopen(),
      followTables: async () => this.#opening.counted?.tables.follow(),
    });
    const onDegraded = (error: unknown): void => this.#publisher.reportDegraded(error);
    this.#installer = new Installer(dataSource, options, this.#events, onDegraded, this.#residence.self);
    this.#opening = new Opening({
      dataSource,
      options,
      events: this.#events,
      installer: this.#installer,
      residence: this.#residence,
      workers: this.#workers,
      reportsLoss: hooks.reportsLoss,
    });
    this.#publisher = new DeltaPublisher({
      window: options.window,
      maxPendingRepairs: options.maxPendingRepairs,
      open: async () => (await this.#opening.open()).context,
      current: () => this.#opening.current?.context ?? null,
      last: () => this.#opening.last?.context ?? null,
      shards: options.shards,
      writeApart: (tables, rows) => writeApart(dataSource, tables, rows),
      onForgotten: (targets) => reportForgotten(this.#events, this.#opening.counted?.definitions ?? null, targets),
      barrier: () => besidePool('full', () => withConnection(dataSource, allocateBarrier)),
      onDegraded: (error) => this.#events.emit('degraded', { error }),
      onRecovered: () => this.#events.emit('recovered'),
      onError: (error) => this.#events.emit('error', error),
    });
    this.#noteInternals();
  }

  /**
   * Attaches counters to a DataSource, before or after `initialize()`.
   *
   * @throws ConfigurationError with every mistake in options and declarations (declarations are checked by
   * `initialize()` if that comes later), or when the DataSource has counters already; BufferUnavailableError when Redis
   * does not answer within `attachTimeout`, or refuses user, password, database or what is needed; CounterCacheError `STATE_MISMATCH` when `shards` differ from those of other
   * processes
   */
  static async attach(dataSource: DataSource, options: CountersOptions): Promise<Counters> {
    checkArgument(
      InstanceChecker.isDataSource(dataSource),
      'attach',
      'its first argument to be a DataSource',
      dataSource,
    );
    const counters = new Counters(dataSource, resolveOptions(options), hooksOf(options));
    await counters.#installer.connect();
    try {
      counters.#detach = await attachTo(dataSource, {
        onMetadata: () => counters.#useMetadata(),
        // Opened now where possible, so that the first counted write does not wait for it.
        onInitialized: async () => {
          await counters.#opening.counted?.tables.check();
          await counters.#opening.open().then(() => undefined, tolerateMissingTables);
        },
        onDestroy: () => counters.#beforeDestroy(),
        giveWay: () => counters.#leave(),
      });
    } catch (error) {
      await counters.close();
      counters.#leave();
      throw error;
    }
    return counters;
  }

  /** The resolved counters, frozen; empty until the DataSource is initialized. */
  get definitions(): readonly Counter[] {
    return this.#opening.counted?.definitions.counters ?? [];
  }

  /**
   * Applies deltas in this process until the worker is closed.
   *
   * @throws TablesMissingError with the SQL that creates the library's tables; ConfigurationError for wrong options;
   * BufferUnavailableError with the permissions that are missing in Redis
   */
  async startWorker(options: WorkerOptions = {}): Promise<CounterWorker> {
    this.#assertOpen();
    return this.#workers.add(this.#startWorker(options));
  }

  /**
   * Reconciles now, due or not, in this process. Does not wait for batches that others have claimed.
   *
   * @throws ConfigurationError for a wrong filter; BufferUnavailableError when Redis does not answer: what the outbox holds
   * is applied all the same
   */
  async flush(filter: TargetFilter = {}): Promise<ReconcileReport> {
    this.#assertOpen();
    await this.#publisher.published();
    await this.#publisher.requestLost();
    return this.#call(async (context) => {
      await this.#opening.counted?.permissions.expectApplying('flush');
      return flush(context, filter);
    });
  }

  /**
   * Recounts targets from their sources; resolves when the corrections are applied. Exact under live writes (I6).
   *
   * @throws ConfigurationError for a wrong filter; BufferUnavailableError when Redis does not answer. What was recounted
   * until then stays
   */
  async recalculate<Entity extends ObjectLiteral>(filter: RecountFilter<Entity> = {}): Promise<RecountReport> {
    return this.#call(async (context) => {
      await this.#opening.counted?.permissions.expectApplying('recalculate');
      return recountRun(context, filter, false);
    });
  }

  /** The same comparison as `recalculate`, changing nothing; throws alike. */
  async verify<Entity extends ObjectLiteral>(filter: RecountFilter<Entity> = {}): Promise<RecountReport> {
    return this.#call(async (context) => {
      await this.#opening.counted?.permissions.expectCounting('verify');
      return recountRun(context, filter, true);
    });
  }

  /**
   * A counter as if everything committed were applied, what this process has committed by now in any case (it waits for
   * that up to `redisTimeout`); for several ids a map with the same keys. An id is the key by which sources refer to the
   * target. Inside a transaction give its `manager`; without it, another connection is used, beside the pool if that has none
   * to give. Values are as TypeORM hydrates the property: a number for integers, text for
   * bigint and numeric, or what the column's transformer makes of them; `null` where the row does not exist.
   *
   * @throws ConfigurationError when the column is no counter, or an id does not fit its key; BufferUnavailableError when
   * Redis does not answer
   */
  read<Entity extends ObjectLiteral, Column extends PathsOf<Entity, Countable>>(
    target: EntityTarget<Entity>,
    id: string | number | bigint,
    column: Column,
    options?: ReadOptions,
  ): Promise<CounterValue<Entity, Column>>;
  read<Entity extends ObjectLiteral, Column extends PathsOf<Entity, Countable>, Id extends TargetKey>(
    target: EntityTarget<Entity>,
    ids: readonly Id[],
    column: Column,
    options?: ReadOptions,
  ): Promise<Map<Id, CounterValue<Entity, Column>>>;
  async read(
    target: EntityTarget<ObjectLiteral>,
    given: TargetKey | readonly TargetKey[],
    column: string,
    options: ReadOptions = {},
  ): Promise<unknown> {
    return this.#call(async (context) => {
      await withTimeout(this.#publisher.published(), this.#options.redisTimeout, undefined);
      return readGiven(context, { target, given, column, options });
    });
  }

  /**
   * Runs `fn`, and returns what it returns; writes inside are not counted until their targets are recalculated. Nests.
   *
   * @throws ConfigurationError when it is no function; what it throws
   */
  skip<Result>(fn: () => Result): Result {
    checkArgument(typeof fn === 'function', 'skip', 'its argument to be a function', fn);
    return this.#skipping.run(true, fn);
  }

  /**
   * Counts what raw SQL in `work` does to the matching rows of an entity, and asks for a recalculation of every target
   * that they count for before or after it. `where` has to match, before `work`, every row that raw SQL changes or
   * removes, and, after it, every row that raw SQL adds or gives another key. Matching rows are locked, and so is what a
   * DELETE of them would take along by `ON DELETE CASCADE` or change by `SET NULL`, as far as it counts somewhere: all
   * of it is read before and after. Keys that raw SQL changes are not followed to what refers to them.
   *
   * What TypeORM writes inside is captured as everywhere. Runs in a savepoint of the manager's transaction, or in a
   * transaction of its own; `work` that throws is rolled back. `work` must not end its transaction, and has to be awaited
   * before COMMIT, which is refused meanwhile.
   *
   * @throws ConfigurationError when no counter counts or is kept on the entity; CounterCacheError when `work` ended its
   * transaction; what `work` throws
   * @example
   * await counters.track(dataSource.manager, Post, { status: 'draft' }, (manager) =>
   *   manager.query(`DELETE FROM post WHERE status = 'draft'`),
   * );
   */
  async track<Entity extends ObjectLiteral, Result>(
    manager: EntityManager,
    source: EntityTarget<Entity>,
    where: FindOptionsWhere<Entity> | FindOptionsWhere<Entity>[],
    work: (manager: EntityManager) => Promise<Result>,
  ): Promise<Result> {
    this.#assertOpen();
    const capture = this.#capture;
    if (capture === null) throw notInitialized();
    return capture.track(manager, metadataOf(this.#dataSource, source), where, work);
  }

  /** Resolves when everything captured so far has reached the buffer, or waits in the outbox. */
  settled(): Promise<void> {
    return this.#publisher.settled();
  }

  /**
   * Figures over the whole buffer and the outbox.
   *
   * @throws BufferUnavailableError when Redis does not answer
   */
  async status(): Promise<CountersStatus> {
    return this.#call(readStatus);
  }

  /**
   * Makes failed targets due again; returns how many.
   *
   * @throws ConfigurationError for a wrong filter; BufferUnavailableError when Redis does not answer
   */
  async retryFailed(filter: TargetFilter = {}): Promise<number> {
    return this.#call((context) => retryFailed(context, filter));
  }

  /**
   * What the outbox holds: changes that wait, and for `outboxRetention` those that were applied, in the order in which
   * they were written.
   *
   * @throws ConfigurationError when the entity has no counter columns, or ids do not fit its key
   * @example
   * for await (const { id, column, amount } of counters.log({ target: User })) console.log(id, column, amount);
   */
  async *log(filter: TargetFilter = {}): AsyncGenerator<LogEntry, void, undefined> {
    yield* readLog(await this.#context(), filter);
  }

  /**
   * Adds a listener. What it throws goes to the logger.
   *
   * @throws ConfigurationError for an event that does not exist
   */
  on<Name extends keyof CountersEvents>(event: Name, listener: (...args: CountersEvents[Name]) => void): this {
    this.#events.on(event, listener);
    return this;
  }

  /** Removes a listener. */
  off<Name extends keyof CountersEvents>(event: Name, listener: (...args: CountersEvents[Name]) => void): this {
    this.#events.off(event, listener);
    return this;
  }

  /**
   * Closes the workers (15 s at most), waits for COMMITs under way (5 s), hands off what this process holds (16 s), and closes
   * only what the library opened. Writes of the DataSource stay counted until it is destroyed, or counters are attached to it
   * again: from the moment of the call on, their deltas go to the outbox, in their own transactions, and are applied by any
   * other worker. An `error` lists what can be handed off nowhere. Idempotent; never rejects for a Redis
   * that does not answer. Methods that need the database or Redis throw CounterCacheError `CLOSED` afterwards.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  #noteInternals(): void {
    noteInternals(this, {
      dataSource: this.#dataSource,
      events: this.#events,
      opening: this.#opening,
      publisher: this.#publisher,
      assertOpen: () => this.#assertOpen(),
    });
  }

  async #close(): Promise<void> {
    this.#opening.stop();
    this.#publisher.divert();
    await this.#workers.close();
    await this.#publisher.ended(COMMIT_LIMIT);
    await this.#publisher.close();
    await this.#residence.leave();
    const side = sideConnectionOf(this.#dataSource);
    await withTimeout(this.#opening.idle(), IDLE_LIMIT, undefined);
    // An opening that the database does not answer holds it, and may take it once more.
    await side.close();
    await this.#installer.close();
    await side.close();
    this.#isClosed = true;
    if (!this.#dataSource.isInitialized) this.#leave();
  }

  /** Nothing of the DataSource is counted any more, unless others do. */
  #leave(): boolean {
    if (!this.#isClosed) return false;
    this.#detach();
    this.#capture?.stop();
    this.#capture = null;
    return true;
  }

  async #beforeDestroy(): Promise<void> {
    // Nothing is left that could write.
    await endSideConnection(this.#dataSource);
    this.#leave();
  }

  async #startWorker(options: WorkerOptions): Promise<Arrival> {
    await this.#opening.open();
    await this.#installer.assertWorkerAccess();
    await this.#opening.counted?.permissions.expectWorker();
    // Another one may have been opened meanwhile.
    const at = await this.#opening.open();
    this.#assertOpen();
    return { worker: await CounterWorker.start(at.context, at.installation.scheduler, options), at };
  }

  /** Runs whenever the DataSource has built its metadata: everything that refers to them is recreated. */
  #useMetadata(): void {
    this.#capture?.stop();
    renewSideConnection(this.#dataSource);
    const definitions = resolveDefinitions(this.#dataSource);
    const tables = new FollowedTables(this.#dataSource, definitions, this.#events);
    const { catalogue } = tables;
    this.#opening.begin({
      definitions,
      tables,
      permissions: new Permissions(this.#dataSource, definitions, catalogue),
    });
    this.#capture = startCapture(this.#dataSource, { definitions, catalogue }, this.#publisher, {
      mode: this.#options.mode,
      wait: this.#options.wait,
      window: this.#options.window,
      installation: () => this.#opening.last?.context ?? null,
      recalculationDelay: this.#options.recalculationDelay,
      isSkipped: () => this.#skipping.getStore() === true,
      onTruncated: (entity) => (this.#hooks.reportsTruncate ? reportTruncated(this.#events, entity) : undefined),
      onUnseen: (refusal) => reportUnseenEnd(this.#events, refusal),
      afterCommit: this.#hooks.afterCommit,
      onUnknownType: (counter, type) => reportUnknownType(this.#events, counter, type),
      onError: (error) => this.#events.emit('error', error),
      onNotPermitted: (error) => this.#events.reportOnce(error.message, error, 'not permitted'),
    });
  }

  /** A call of the user's, who may be in a transaction that holds the last connection of the pool. */
  async #call<T>(work: (context: JobContext) => Promise<T>): Promise<T> {
    const context = await this.#context();
    return besidePool('full', () => work(context));
  }

  /** For calls of the user: refused once the counters are closed. */
  async #context(): Promise<JobContext> {
    this.#assertOpen();
    return (await this.#opening.open()).context;
  }

  #assertOpen(): void {
    if (this.#closing !== null) throw new CounterCacheError('CLOSED', 'these counters are closed: attach again');
  }
}

function tolerateMissingTables(error: unknown): void {
  if (!(error instanceof CounterCacheError) || error.code !== 'TABLES_MISSING') throw error;
}
