import type { DataSource } from 'typeorm';

import type { WakeUp } from '../../model/pending';
import type { Contribution, Row } from '../../model/definition';
import type { Catalogue } from '../../dialects/postgres/catalogue/catalogue';
import { canEnclose, encloseRows } from '../../dialects/postgres/outbox/enclose';
import type { OutboxDelta } from '../../dialects/postgres/outbox/write-outbox';
import type { SqlQuery } from '../../dialects/postgres/query';
import type { TablePaths } from '../../dialects/postgres/installation/tables';
import { isAlike } from '../alike';
import { type CapturedChanges, type CapturedDelta, sumUp } from '../transaction/captured-changes';
import { PredictedRows } from './predicted-rows';
import { outboxRows } from './outbox-rows';
import type { Place } from '../place';
import type { TablePlan } from '../plan';
import { type DeltaCalculator, type DeltaOptions, NO_KEYS } from '../delta-calculator';
import type { Returned } from '../returning';
import type { WriteBuilder } from '../../typeorm/write-builder';

/** What enclosing needs of the library around it. */
export interface InlineOutboxOptions extends Pick<DeltaOptions, 'mode'> {
  /** Where deltas wait; `null` while that is not known. */
  readonly installation: () => Waiting | null;
  /** Due times of wake-ups are rounded up to multiples of it, ms. */
  readonly window: number;
  /** What callers wait for after a COMMIT, and so not after a statement in no transaction; see `TransactionsOptions`. */
  readonly afterCommit: (() => Promise<void>) | null;
}

interface Waiting {
  readonly tables: TablePaths;
  readonly buffer: { readonly shards: number };
}

/** When the rows of a table come out as predicted, or can be corrected. */
type Trust = 'always' | 'in transactions' | 'never';

/** A statement that is about to be sent. */
export interface Enclosable {
  readonly plan: TablePlan;
  readonly builder: WriteBuilder;
  readonly place: Place;
  readonly query: SqlQuery;
  /** It commits by itself: nothing can be corrected. */
  readonly isOutside: boolean;
}

/** Rows of the outbox that one statement writes at the most; beyond, they are written before COMMIT. */
const MAX_ROWS = 64;

/** The server's time comes without its microseconds. */
const MILLISECOND = 1;

/** Parameters of one statement, by PostgreSQL's protocol. */
const PARAMETERS = 65_535;

/** Parameters of one row of the outbox. */
const PER_ROW = 7;

/** Rows as they will be, and what they add. */
interface Prediction {
  readonly rows: readonly Row[];
  readonly captured: CapturedChanges;
}

/** Deltas that the very statement which makes them writes to the outbox. */
export class Enclosed {
  readonly deltas: readonly CapturedDelta[];
  readonly #predicted: readonly Row[];
  readonly #rows: readonly OutboxDelta[];
  readonly #window: number;

  constructor(prediction: Prediction, rows: readonly OutboxDelta[], window: number) {
    this.deltas = prediction.captured.deltas;
    this.#predicted = prediction.rows;
    this.#rows = rows;
    this.#window = window;
  }

  /** Whether the rows that were made are those that were predicted, to the letter. */
  isMadeOf(rows: readonly Row[]): boolean {
    return rows.length === this.#predicted.length && this.#predicted.every((row, i) => isAlike(rows[i], row));
  }

  /** Whether the rows that were made add this. */
  isAddedBy(contributions: readonly Contribution[]): boolean {
    const { deltas } = this;
    return contributions.length === deltas.length && deltas.every((delta, i) => isEqual(delta, contributions[i]));
  }

  /** The first window in which the rows are due, by the server's clock. */
  wakeUpsAt({ time }: Returned): WakeUp[] {
    return this.#rows.map(({ shard, wait }) => {
      const at = Math.ceil((time + MILLISECOND + wait) / this.#window) * this.#window;
      return { kind: 'reconcile', shard, at, delay: at - time };
    });
  }
}

/**
 * Puts the deltas of inserts into the statements themselves, where they are certain to go to the outbox and can be computed
 * from the values to be inserted. No round trip more, and the deltas share the fate of the statement.
 */
export class InlineOutbox {
  readonly #options: InlineOutboxOptions;
  readonly #calculator: DeltaCalculator;
  readonly #predictedRows: ReadonlyMap<TablePlan, PredictedRows>;
  readonly #trust: Map<TablePlan, Trust>;

  constructor(
    dataSource: DataSource,
    catalogue: Catalogue,
    plans: Iterable<TablePlan>,
    calculator: DeltaCalculator,
    options: InlineOutboxOptions,
  ) {
    this.#options = options;
    this.#calculator = calculator;
    const enclosable = [...plans].filter((plan) => isEnclosable(plan, options));
    this.#predictedRows = new Map(
      enclosable.map((plan) => {
        const table = catalogue.tableAt(plan.metadata.tablePath);
        return [plan, new PredictedRows(dataSource, plan.metadata, plan.counters, table)];
      }),
    );
    this.#trust = new Map(enclosable.map((plan) => [plan, trustOf(catalogue, plan)]));
  }

  /** Does not do it again for this table. */
  disable(plan: TablePlan): void {
    this.#trust.set(plan, 'never');
  }

  /** Extends a statement; `null`, and it stays as it is, where its deltas have to go another way. */
  enclose({ plan, builder, place, query, isOutside }: Enclosable): Enclosed | null {
    const predictedRows = this.#predictedRows.get(plan);
    const installation = this.#options.installation();
    const trust = this.#trust.get(plan);
    if (predictedRows === undefined || installation === null || !canEnclose(query)) return null;
    if (isOutside && this.#options.afterCommit !== null) return null;
    if (trust !== 'always' && (trust !== 'in transactions' || isOutside)) return null;
    const prediction = this.#predict(plan, predictedRows, builder);
    if (prediction === null) return null;
    const { outbox } = sumUp([prediction.captured], this.#options.mode);
    const rows = outboxRows(outbox, installation.buffer.shards);
    if (rows.length === 0 || rows.length > MAX_ROWS || rows.some(({ repair }) => repair)) return null;
    if (query[1].length + rows.length * PER_ROW > PARAMETERS) return null;
    // What commits by itself cannot be refused afterwards.
    encloseRows(query, installation.tables, rows, isOutside ? place.condition : null);
    return new Enclosed(prediction, rows, this.#options.window);
  }

  #predict(plan: TablePlan, predictedRows: PredictedRows, builder: WriteBuilder): Prediction | null {
    const rows = predictedRows.rowsOf(builder);
    if (rows === null) return null;
    const changes = rows.map((after) => ({ before: null, after }));
    const captured = this.#calculator.deltasOf([{ plan, changes }], NO_KEYS);
    // What cannot be counted is refused once the row is there: the database may make another of it.
    return captured.refusal === null ? { rows, captured } : null;
  }
}

/** What the database does to rows that are inserted into a table; one that it does not know may be a view by now. */
function trustOf(catalogue: Catalogue, { metadata }: TablePlan): Trust {
  const table = catalogue.tableAt(metadata.tablePath);
  if (table?.kind !== 'table' || table.hasRules) return 'never';
  return table.rowTriggers.insert ? 'in transactions' : 'always';
}

/** Everything that its rows count goes to the outbox, and nothing has to be looked up for it. */
function isEnclosable({ counters, targetTables, followsPaths }: TablePlan, { mode }: InlineOutboxOptions): boolean {
  return (
    counters.length > 0 &&
    targetTables.length === 0 &&
    !followsPaths &&
    counters.every((counter) => (counter.mode ?? mode) === 'outbox' && counter.flushAt === null)
  );
}

function isEqual(delta: CapturedDelta, contribution: Contribution | undefined): boolean {
  return (
    contribution !== undefined &&
    delta.target === contribution.target &&
    delta.column === contribution.column.name &&
    delta.amount === contribution.amount &&
    delta.touch === (contribution.touch?.name ?? null)
  );
}
