import type { DataSource } from 'typeorm';

import type { CounterColumn, Definitions } from '../counter/definition';
import { CounterCacheError } from '../errors';
import type { Events } from '../events';
import type { TablePaths } from '../sql/tables';
import { within } from '../time-limit';
import { noticeDefinitions } from './notice-definitions';
import { type OwnDefinitions, ownDefinitions } from './sightings';

/** PostgreSQL: insufficient_privilege. */
const NOT_ALLOWED = '42501';

/** The longest that `stop()` waits for a connection, ms: nobody else waits for it. */
const STOP_LIMIT = 1_000;

/** What a presence needs of the library around it. */
export interface PresenceOptions {
  readonly events: Events;
  /** Milliseconds. */
  readonly interval: number;
  /** Looks whether the database's tables have changed. */
  readonly followTables: () => Promise<void>;
}

/**
 * Says, again and again while this process lives, by which definitions it counts, has columns recounted once processes
 * that counted by others are gone, and follows what becomes of the database's tables. Does not keep the process alive.
 */
export class Presence {
  readonly #dataSource: DataSource;
  readonly #tables: TablePaths;
  readonly #own: OwnDefinitions;
  readonly #events: Events;
  readonly #interval: number;
  readonly #followTables: () => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #run: Promise<void> | null = null;

  /** Looks at once, and from then on every `interval` ms; nobody waits for it. */
  constructor(
    dataSource: DataSource,
    tables: TablePaths,
    definitions: Definitions,
    { events, interval, followTables }: PresenceOptions,
  ) {
    this.#dataSource = dataSource;
    this.#tables = tables;
    this.#own = ownDefinitions(
      definitions,
      dataSource.entityMetadatas.map(({ tablePath }) => tablePath),
    );
    this.#events = events;
    this.#interval = interval;
    this.#followTables = followTables;
    this.#timer = setInterval(() => this.#look(true), interval).unref();
    // The tables have just been looked at.
    this.#look(false);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#run !== null) await within(this.#run, STOP_LIMIT, undefined);
  }

  #look(withTables: boolean): void {
    if (!this.#dataSource.isInitialized) return;
    this.#run ??= this.#noticeAll(withTables).finally(() => (this.#run = null));
  }

  async #noticeAll(withTables: boolean): Promise<void> {
    await this.#notice().catch((error: unknown) => this.#reportRefused(error));
    // Of an outage whatever else needs the database tells.
    if (withTables) await this.#followTables().catch(() => undefined);
  }

  async #notice(): Promise<void> {
    const waiting = await noticeDefinitions(this.#dataSource, this.#tables, this.#own, this.#interval);
    for (const column of waiting) this.#reportWaiting(column);
  }

  /** Of an outage whatever else needs the database tells; a statement that is not allowed never will be. */
  #reportRefused(error: unknown): void {
    if ((error as { code?: unknown }).code !== NOT_ALLOWED) return;
    const { state } = this.#tables;
    const reason = `this process cannot note in ${state} by which definitions it counts: ${(error as Error).message}`;
    const advice = 'Grant its user SELECT, INSERT, UPDATE and DELETE; until then other processes take it for gone';
    const refused = new CounterCacheError('STATE_MISMATCH', `${reason}. ${advice}`, { table: state }, { cause: error });
    this.#events.reportOnce('definitions', refused);
  }

  #reportWaiting({ kind, property }: CounterColumn): void {
    const column = `${kind.metadata.name}.${property}`;
    const reason = 'a process that declares it differently, or not at all, still runs';
    const advice = 'End processes that run other code, or give all of them the same declarations';
    const message = `${column} waits to be recounted by its new definition: ${reason}. ${advice}`;
    this.#events.reportOnce(`definition ${column}`, new CounterCacheError('STATE_MISMATCH', message, { column }));
  }
}
