import { fingerprintOf, sourceTablesOf } from '../model/fingerprint';
import type { CounterColumn, Definitions } from '../model/definition';
import { encodeColumn } from '../model/target';
import type { KnownDefinitions, Heartbeat, Heartbeats } from '../dialects/postgres/installation/definitions';

/** A counter column as this process declares it. */
export interface OwnDefinition {
  readonly column: CounterColumn;
  readonly fingerprint: string;
  readonly sources: readonly string[];
}

/** What this process declares, by column. */
export interface OwnDefinitions {
  readonly columns: ReadonlyMap<string, OwnDefinition>;
  /** Paths of all tables that this process may write to. */
  readonly tables: ReadonlySet<string>;
}

/** What follows from the known definitions. */
export interface Evaluation {
  /** What has to be written down, by column: a new definition, or a recount that is requested. */
  readonly changed: ReadonlyMap<string, Heartbeats>;
  /** Known definitions that are seen again: column → fingerprint. */
  readonly seen: ReadonlyMap<string, string>;
  /** Ids of target tables all of whose targets have to be recounted. */
  readonly tableIds: readonly string[];
  /** Columns whose recount has been waiting for long, since processes that declare them otherwise do not end. */
  readonly waiting: readonly CounterColumn[];
}

/** What an evaluation depends on. */
export interface EvaluateOptions {
  /** Milliseconds between two evaluations of this process. */
  readonly interval: number;
  /** Nothing was ever kept in this installation: its columns are taken for right. */
  readonly isNew: boolean;
}

/** Stands for the definition of processes that count rows for a column in no way: they write, and do not declare it. */
const UNDECLARED = '-';

/** Definitions remembered per column. */
const REMEMBERED = 16;

/** Intervals without a sign of a process after which it is taken to be gone. */
const SILENT_INTERVALS = 4;

/** Milliseconds of waiting after which it is reported. */
const PATIENCE = 3_600_000;

/** What a process declares; `tables` are the paths of all its tables. */
export function ownDefinitions({ targetTables }: Definitions, tables: Iterable<string>): OwnDefinitions {
  const columns = [...targetTables.values()].flatMap((targetTable) => [...targetTable.columns.values()]);
  return {
    columns: new Map(
      columns.map((column) => [
        [column.targetTable.tablePath, column.name].map(encodeColumn).join(':'),
        { column, fingerprint: fingerprintOf(column), sources: sourceTablesOf(column) },
      ]),
    ),
    tables: new Set(tables),
  };
}

/**
 * Compares what this process declares with what others did. A recount by a definition is wanted when there was none yet,
 * and when processes with another definition have been seen since the last one: what they wrote was counted otherwise.
 * It is requested once all of those are silent. See docs/adr/0015.
 */
export function evaluate(known: KnownDefinitions, own: OwnDefinitions, options: EvaluateOptions): Evaluation {
  const { now } = known;
  const { interval, isNew } = options;
  const changed = new Map<string, Heartbeats>();
  const seen = new Map<string, string>();
  const tableIds = new Set<string>();
  const waiting: CounterColumn[] = [];
  for (const [id, { column, fingerprint, sources }] of own.columns) {
    const heartbeats = known.columns.get(id) ?? firstSeen(now, options);
    const before = heartbeats[fingerprint];
    const { first, counted } = before ?? { first: now, counted: isNew ? now : null };
    const isRequested = isRecountDue(heartbeats, fingerprint, counted, now, interval);
    if (isRequested) tableIds.add(column.targetTable.id);
    else if (counted === null && now - first > PATIENCE) waiting.push(column);
    const heartbeat = { first, seen: now, interval, counted: isRequested ? now : counted, sources };
    if (isRequested || before?.interval !== interval)
      changed.set(id, latest({ ...heartbeats, [fingerprint]: heartbeat }));
    else if (!isFresh(before, now)) seen.set(id, fingerprint);
  }
  for (const [id, heartbeats] of known.columns) {
    if (own.columns.has(id) || !mayFeed(heartbeats, own.tables)) continue;
    const before = heartbeats[UNDECLARED];
    if (before?.interval !== interval)
      changed.set(id, latest({ ...heartbeats, [UNDECLARED]: undeclared(now, interval) }));
    else if (!isFresh(before, now)) seen.set(id, UNDECLARED);
  }
  return { changed, seen, tableIds: [...tableIds], waiting };
}

function isRecountDue(
  heartbeats: Heartbeats,
  fingerprint: string,
  counted: number | null,
  now: number,
  interval: number,
): boolean {
  const others = Object.entries(heartbeats).flatMap(([other, heartbeat]) => (other === fingerprint ? [] : [heartbeat]));
  const isWanted = counted === null || others.some(({ seen }) => seen >= counted);
  return isWanted && others.every((other) => isSilent(other, now, interval));
}

/** Several processes with one definition need not all say so. */
function isFresh({ seen, interval }: Heartbeat, now: number): boolean {
  return seen > now - interval / 2;
}

/** No process with this definition lives, as far as is known. */
function isSilent({ seen, interval }: Heartbeat, now: number, ownInterval: number): boolean {
  return seen + SILENT_INTERVALS * Math.max(interval, ownInterval) <= now;
}

/** Of a column that is new to an installation in use: processes that do not know it may be writing, and say so soon. */
function firstSeen(now: number, { interval, isNew }: EvaluateOptions): Heartbeats {
  return isNew ? {} : { [UNDECLARED]: undeclared(now, interval) };
}

function undeclared(now: number, interval: number): Heartbeat {
  return { first: now, seen: now, interval, counted: null, sources: [] };
}

function mayFeed(known: Heartbeats, tables: ReadonlySet<string>): boolean {
  return Object.values(known).some(({ sources }) => sources.some((source) => tables.has(source)));
}

function latest(heartbeats: Heartbeats): Heartbeats {
  const sorted = Object.entries(heartbeats).toSorted(([, a], [, b]) => b.seen - a.seen);
  return Object.fromEntries(sorted.slice(0, REMEMBERED));
}
