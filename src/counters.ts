import { AsyncLocalStorage } from 'node:async_hooks';

import type { DataSource, EntityTarget, ObjectLiteral } from 'typeorm';

import { attachTo, subscribe } from './attachment';
import type { Alarm, DeltaBuffer } from './buffer/buffer';
import { byShard } from './buffer/shard';
import { Capture } from './capture/capture';
import { HandOff } from './capture/hand-off';
import { hookWrites } from './capture/hook';
import { Transactions } from './capture/transactions';
import type { Counter, CounterColumn, Definitions, TargetKind } from './counter/definition';
import { protectCounterColumns } from './counter/protect';
import { resolveDefinitions } from './counter/registry';
import { ConfigurationError, CounterCacheError } from './errors';
import { type CountersEvents, Events } from './events';
import { type Installation, Installer } from './installation';
import { describeTarget, type JobContext } from './jobs/context';
import { rebuild } from './jobs/rebuild';
import { addReports, NOTHING, reconcile, type ReconcileReport } from './jobs/reconcile';
import { idOf, type RecountFilter, type RecountReport, recountRun } from './jobs/recount-run';
import { CounterWorker, type WorkerOptions } from './jobs/worker';
import { readCounter } from './live/read';
import { type CountersOptions, type ResolvedCountersOptions, resolveOptions } from './options';

/** Which dirty targets to flush; all when empty. */
export interface FlushFilter {
  readonly target?: EntityTarget<ObjectLiteral>;
  /** Keys by which sources refer to the targets (usually the primary key). Needs `target`. */
  readonly ids?: readonly (string | number | bigint)[];
}

/** Figures over all shards. Times in ms since the epoch, by the buffer's clock. */
export interface CountersStatus {
  /** Targets with a pending delta. */
  readonly dirty: number;
  /** When the oldest pending delta is due; `null` when nothing is dirty. */
  readonly oldestDue: number | null;
  /** Batches claimed and not yet acknowledged. */
  readonly batches: number;
  /** Deltas announced and not yet confirmed. */
  readonly intents: number;
  /** Recalculations requested, due or not. */
  readonly recalculations: number;
  /** Targets that the database refused to change. */
  readonly failed: readonly { readonly entity: string; readonly id: string; readonly reason: string }[];
}

/** An id of a target: the key by which sources refer to it, several columns as an array. */
export type TargetKey = string | number | bigint | readonly (string | number | bigint)[];

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
  readonly #events: Events;
  readonly #installer: Installer;
  readonly #handOff: HandOff;
  readonly #skipping = new AsyncLocalStorage<true>();
  readonly #workers = new Set<CounterWorker>();
  readonly #reportedTypes = new Set<string>();
  readonly #background = new Set<Promise<void>>();
  #definitions: Definitions | null = null;
  #opening: Promise<{ installation: Installation; context: JobContext }> | null = null;
  #release: (() => void)[] = [];
  #detach: () => void = () => undefined;
  #degraded = false;
  #closing: Promise<void> | null = null;

  private constructor(dataSource: DataSource, options: ResolvedCountersOptions) {
    this.#dataSource = dataSource;
    this.#options = options;
    this.#events = new Events((error) => options.logger.error('typeorm-counter-cache', { error }));
    this.#installer = new Installer(dataSource, options, this.#events);
    this.#handOff = new HandOff({
      durability: options.durability,
      memoryQueue: options.memoryQueue,
      buffer: () => this.#buffer(),
      schedule: (alarms) => this.#schedule(alarms),
      onDegraded: (error) => this.#setDegraded(error),
      onRecovered: () => this.#setRecovered(),
      onError: (error) => this.#events.emit('error', error),
    });
  }

  /**
   * Attaches counters to a DataSource, before or after `initialize()`.
   *
   * @throws ConfigurationError with every mistake in options and declarations (declarations are checked by
   * `initialize()` if that comes later); BufferUnavailableError when Redis does not answer within `attachTimeout`
   */
  static async attach(dataSource: DataSource, options: CountersOptions): Promise<Counters> {
    const counters = new Counters(dataSource, resolveOptions(options));
    await counters.#installer.connect();
    try {
      counters.#detach = await attachTo(dataSource, {
        onMetadata: () => counters.#useMetadata(),
        // Opened now where possible, so that the first counted write does not wait for it.
        onInitialized: () => counters.#open().then(() => undefined, tolerateMissingTables),
      });
    } catch (error) {
      await counters.close();
      throw error;
    }
    return counters;
  }

  /** The resolved counters, frozen; empty until the DataSource is initialized. */
  get definitions(): readonly Counter[] {
    return this.#definitions?.counters ?? [];
  }

  /**
   * Applies deltas in this process until the worker is closed.
   *
   * @throws TablesMissingError with the SQL that creates the library's tables
   */
  async startWorker(options: WorkerOptions = {}): Promise<CounterWorker> {
    this.#assertOpen();
    const { installation, context } = await this.#open();
    const worker = await CounterWorker.start(context, installation.scheduler, options);
    this.#workers.add(worker);
    return worker;
  }

  /** Reconciles now, due or not, in this process. Does not wait for batches that others have claimed. */
  async flush(filter: FlushFilter = {}): Promise<ReconcileReport> {
    await this.#handOff.settled();
    const { context } = await this.#open();
    const kinds = filter.target === undefined ? null : this.#kindsOf(filter.target);
    if (filter.ids !== undefined && kinds === null)
      throw new ConfigurationError(['`ids` need `target`: the entity whose rows they name']);
    const targets =
      filter.ids === undefined ? null : (kinds ?? []).flatMap((kind) => filter.ids?.map((id) => idOf(kind, id)) ?? []);
    let report = NOTHING;
    if (targets === null) {
      const names = kinds?.map(({ id }) => id) ?? null;
      for (let shard = 0; shard < context.buffer.shards; shard++)
        report = addReports(report, await reconcile(context, shard, { select: 'dirty', kinds: names }));
      return report;
    }
    for (const [shard, group] of byShard(targets, (target) => target, context.buffer.shards))
      report = addReports(report, await reconcile(context, shard, { select: 'targets', targets: group }));
    return report;
  }

  /** Recounts targets from their sources; resolves when the corrections are applied. Exact under live writes (I6). */
  async recalculate(filter: RecountFilter = {}): Promise<RecountReport> {
    return recountRun((await this.#open()).context, filter, false);
  }

  /** The same comparison as `recalculate`, changing nothing. */
  async verify(filter: RecountFilter = {}): Promise<RecountReport> {
    return recountRun((await this.#open()).context, filter, true);
  }

  /**
   * A counter as if everything confirmed were applied; for several ids a map with the same keys. Values are as TypeORM
   * hydrates the column: a number for integers, text for bigint and numeric; `null` where the row does not exist.
   */
  read(target: EntityTarget<ObjectLiteral>, id: TargetKey, column: string): Promise<number | string | null>;
  read<Id extends TargetKey>(
    target: EntityTarget<ObjectLiteral>,
    ids: Id[],
    column: string,
  ): Promise<Map<Id, number | string | null>>;
  async read(
    target: EntityTarget<ObjectLiteral>,
    ids: TargetKey | TargetKey[],
    column: string,
  ): Promise<number | string | null | Map<TargetKey, number | string | null>> {
    const { context } = await this.#open();
    const counterColumn = this.#columnOf(target, column);
    const many = Array.isArray(ids);
    const keys = new Map(
      (many ? (ids as TargetKey[]) : [ids as TargetKey]).map((id) => [id, idOf(counterColumn.kind, id)]),
    );
    const values = await readCounter(context, counterColumn, [...new Set(keys.values())]);
    const typed = new Map([...keys].map(([id, key]) => [id, valueOf(counterColumn, values.get(key) ?? null)]));
    return many ? typed : (typed.get(ids as TargetKey) ?? null);
  }

  /** Runs `fn`; writes inside are not counted until their targets are recalculated. Nests. */
  skip<Result>(fn: () => Result): Result {
    return this.#skipping.run(true, fn);
  }

  /** Resolves when everything captured so far has reached the buffer. */
  settled(): Promise<void> {
    return this.#handOff.settled();
  }

  async status(): Promise<CountersStatus> {
    const { context } = await this.#open();
    const shards = await Promise.all(
      Array.from({ length: context.buffer.shards }, (_, shard) => context.buffer.status(shard)),
    );
    const sum = (figure: 'dirty' | 'batches' | 'intents' | 'recalculations') =>
      shards.reduce((total, shard) => total + shard[figure], 0);
    const dues = shards.flatMap(({ oldestDue }) => (oldestDue === null ? [] : [oldestDue]));
    return {
      dirty: sum('dirty'),
      oldestDue: dues.length === 0 ? null : Math.min(...dues),
      batches: sum('batches'),
      intents: sum('intents'),
      recalculations: sum('recalculations'),
      failed: shards.flatMap(({ failed }) =>
        failed.map(({ target, reason }) => ({ ...describeTarget(context.definitions, target), reason })),
      ),
    };
  }

  /** Makes failed targets due again; returns how many. */
  async retryFailed(filter: FlushFilter = {}): Promise<number> {
    const { context } = await this.#open();
    const kinds = filter.target === undefined ? null : this.#kindsOf(filter.target);
    let count = 0;
    for (let shard = 0; shard < context.buffer.shards; shard++) {
      const { failed } = await context.buffer.status(shard);
      const ids =
        filter.ids === undefined
          ? null
          : new Set((kinds ?? []).flatMap((kind) => filter.ids?.map((id) => idOf(kind, id)) ?? []));
      const wanted = failed
        .map(({ target }) => target)
        .filter((target) =>
          ids === null ? kinds === null || kinds.some(({ id }) => target.startsWith(`${id}:`)) : ids.has(target),
        );
      const retried = await context.buffer.retryFailed(shard, wanted);
      await this.#schedule(retried.alarms);
      count += retried.count;
    }
    return count;
  }

  on<Name extends keyof CountersEvents>(event: Name, listener: (...args: CountersEvents[Name]) => void): this {
    this.#events.on(event, listener);
    return this;
  }

  off<Name extends keyof CountersEvents>(event: Name, listener: (...args: CountersEvents[Name]) => void): this {
    this.#events.off(event, listener);
    return this;
  }

  /** Closes the workers, hands off what this process holds, and closes only what the library opened. Idempotent. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.close()));
    const lost = await this.#handOff.close();
    if (lost.length > 0) {
      this.#events.emit(
        'error',
        new CounterCacheError(
          'BUFFER_UNAVAILABLE',
          `closed while ${lost.length} targets wait for a recalculation: run counters.recalculate() for them`,
          { targets: lost },
        ),
      );
    }
    this.#detach();
    this.#releaseMetadata();
    await this.#opening?.catch(() => undefined);
    await Promise.all(this.#background);
    await this.#installer.close();
  }

  /** Runs whenever the DataSource has built its metadata: everything that refers to them starts anew. */
  #useMetadata(): void {
    this.#releaseMetadata();
    const definitions = resolveDefinitions(this.#dataSource);
    const transactions = new Transactions(this.#handOff);
    const capture = new Capture(this.#dataSource, definitions, transactions, {
      wait: this.#options.wait,
      recalculationDelay: this.#options.recalculationDelay,
      onUnknownType: (counter, type) => this.#reportUnknownType(counter, type),
      onError: (error) => this.#events.emit('error', error),
    });
    this.#definitions = definitions;
    this.#opening = null;
    this.#release = [
      protectCounterColumns(definitions),
      subscribe(this.#dataSource, transactions),
      hookWrites(this.#dataSource, (builder, execute) =>
        this.#skipping.getStore() === true ? null : capture.hook(builder, execute),
      ),
    ];
  }

  #releaseMetadata(): void {
    for (const release of this.#release) release();
    this.#release = [];
  }

  #open(): Promise<{ installation: Installation; context: JobContext }> {
    const opening = (this.#opening ??= this.#install());
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = null;
    });
    return opening;
  }

  async #install(): Promise<{ installation: Installation; context: JobContext }> {
    const definitions = this.#definitions;
    if (definitions === null)
      throw new CounterCacheError('CLOSED', 'the DataSource is not initialized: call dataSource.initialize() first');
    const installation = await this.#installer.open((lost) => this.#rebuild(lost));
    const context: JobContext = {
      dataSource: this.#dataSource,
      tables: installation.tables,
      buffer: installation.buffer,
      definitions,
      options: this.#options,
      events: this.#events,
      schedule: (alarms) => this.#scheduleWith(installation, alarms),
    };
    return { installation, context };
  }

  /** In the background: it may take long, and a write may be waiting for the buffer to open. */
  #rebuild(lost: readonly number[]): void {
    const work = this.#open()
      .then(({ context }) => rebuild(context, lost))
      .catch((error: unknown) => this.#events.emit('error', error))
      .finally(() => this.#background.delete(work));
    this.#background.add(work);
  }

  async #buffer(): Promise<DeltaBuffer> {
    return (await this.#open()).installation.buffer;
  }

  async #schedule(alarms: readonly Alarm[]): Promise<void> {
    if (alarms.length > 0) await this.#scheduleWith((await this.#open()).installation, alarms);
  }

  /** An alarm that cannot be set costs time, not a count: the sweep finds what it was for (I4). */
  async #scheduleWith({ scheduler }: Installation, alarms: readonly Alarm[]): Promise<void> {
    if (alarms.length === 0) return;
    try {
      await scheduler.schedule(alarms);
    } catch (error) {
      this.#events.emit('error', error);
    }
  }

  #kindsOf(target: EntityTarget<ObjectLiteral>): TargetKind[] {
    const metadata = this.#dataSource.getMetadata(target);
    const kinds = [...(this.#definitions?.kinds.values() ?? [])].filter((kind) => kind.metadata === metadata);
    if (kinds.length === 0)
      throw new ConfigurationError([`${metadata.name} has no counter columns: name an entity that a counter targets`]);
    return kinds;
  }

  #columnOf(target: EntityTarget<ObjectLiteral>, property: string): CounterColumn {
    const columns = this.#kindsOf(target).flatMap((kind) => [...kind.columns.values()]);
    const column = columns.find((candidate) => candidate.property === property);
    if (column !== undefined) return column;
    throw new ConfigurationError([
      `${this.#dataSource.getMetadata(target).name}.${property} is no counter column. Known: ${columns.map((known) => known.property).join(', ')}`,
    ]);
  }

  #reportUnknownType(counter: Counter, type: string): void {
    const key = `${counter.name} ${type}`;
    if (this.#reportedTypes.has(key)) return;
    this.#reportedTypes.add(key);
    const advice = 'Add it to `polymorphic.targets`, or to `polymorphic.ignore` if it has no counter';
    this.#events.emit(
      'error',
      new CounterCacheError(
        'CONFIGURATION',
        `${counter.label}: rows of type '${type}' have no target and are not counted. ${advice}`,
        { counter: counter.name, type },
      ),
    );
  }

  #setDegraded(error: unknown): void {
    if (this.#degraded) return;
    this.#degraded = true;
    this.#events.emit('degraded', { error });
  }

  #setRecovered(): void {
    if (!this.#degraded) return;
    this.#degraded = false;
    this.#events.emit('recovered');
  }

  #assertOpen(): void {
    if (this.#closing !== null) throw new CounterCacheError('CLOSED', 'these counters are closed: attach again');
  }
}

function tolerateMissingTables(error: unknown): void {
  if (!(error instanceof CounterCacheError) || error.code !== 'TABLES_MISSING') throw error;
}

function valueOf(column: CounterColumn, text: string | null): number | string | null {
  return text === null || column.sqlType === 'bigint' || column.scale > 0 || column.sqlType === 'numeric'
    ? text
    : Number(text);
}
