import type { DataSource } from 'typeorm';

import type { CounterColumn, Definitions } from '../model/definition';
import { identityText } from '../dialects/postgres/catalogue/identity';
import { isInsufficientPrivilege } from '../dialects/postgres/privilege-error';
import { CounterCacheError } from '../errors';
import type { Events } from '../events';
import { type ProcessSelf, sayGone, whereAmI } from '../dialects/postgres/installation/processes';
import { withConnection, withTransaction } from '../dialects/postgres/query';
import { besidePool } from '../dialects/postgres/side-connection';
import type { TablePaths } from '../dialects/postgres/installation/tables';
import { withTimeout } from '../time-limit';
import type { JobContext } from '../engines/context';
import { evaluate, type OwnDefinitions, ownDefinitions } from './heartbeats';
import { startCampaigns } from '../dialects/postgres/installation/campaigns';
import {
  lockDefinitions,
  readDefinitions,
  refreshHeartbeats,
  writeDefinitions,
} from '../dialects/postgres/installation/definitions';

/** The longest that `stop()` waits for a connection, ms: no other work waits for it. */
const STOP_LIMIT = 1_000;

/** What a presence needs of the process. */
export interface PresenceOptions {
  readonly events: Events;
  /** Milliseconds. */
  readonly interval: number;
  readonly self: ProcessSelf;
  readonly installation: { readonly id: string } & Pick<JobContext, 'settleHome'>;
  /** Connections lead to another database, or its installation is another one. */
  readonly onMoved: () => void;
  /** Looks whether the database's tables have changed. */
  readonly followTables: () => Promise<void>;
}

/**
 * Says, again and again while this process lives, that it does, and by which definitions it counts; has columns recounted
 * once processes that counted by others are gone; notices when database, tables or Redis are others. Does not keep the process alive.
 */
export class Presence {
  readonly #dataSource: DataSource;
  readonly #tables: TablePaths;
  readonly #own: OwnDefinitions;
  readonly #events: Events;
  readonly #interval: number;
  readonly #installation: PresenceOptions['installation'];
  readonly #onMoved: () => void;
  readonly #self: ProcessSelf;
  readonly #followTables: () => Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #run: Promise<void> | null = null;
  #isStopped = false;

  /** Looks at once, and from then on every `interval` ms, in the background. */
  constructor(
    dataSource: DataSource,
    tables: TablePaths,
    definitions: Definitions,
    { events, interval, installation, self, onMoved, followTables }: PresenceOptions,
  ) {
    this.#installation = installation;
    this.#self = self;
    this.#onMoved = onMoved;
    this.#dataSource = dataSource;
    this.#tables = tables;
    this.#own = ownDefinitions(
      definitions,
      dataSource.entityMetadatas.map(({ tablePath }) => tablePath),
    );
    this.#events = events;
    this.#interval = interval;
    this.#followTables = followTables;
    this.#timer = setInterval(() => this.#refresh(true), interval).unref();
    // The tables have just been looked at.
    this.#refresh(false);
  }

  /** Looks no more; the process goes on, with another presence. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    if (this.#run !== null) await withTimeout(this.#run, STOP_LIMIT, undefined);
  }

  /** The same when the process ends, which other processes learn. */
  async leave(): Promise<void> {
    await this.stop();
    if (!this.#dataSource.isInitialized) return;
    const gone = besidePool('full', () =>
      withConnection(this.#dataSource, (runner) => sayGone(runner, this.#tables, this.#self)),
    );
    // One that cannot say so is taken for gone after a while.
    await withTimeout(gone, STOP_LIMIT, undefined).catch(() => undefined);
  }

  #refresh(withTables: boolean): void {
    if (!this.#dataSource.isInitialized) return;
    this.#run ??= this.#noticeAll(withTables).finally(() => (this.#run = null));
  }

  async #noticeAll(withTables: boolean): Promise<void> {
    await this.#notice().catch((error: unknown) => this.#reportRefused(error));
    // An outage is reported by other work that needs the database.
    if (withTables) await this.#followTables().catch(() => undefined);
  }

  async #notice(): Promise<void> {
    // Signs of life do not wait for a pool that callers hold.
    if (await besidePool('full', () => this.#hasMoved())) return this.#isStopped ? undefined : this.#onMoved();
    if (this.#isStopped) return;
    await besidePool('full', () => this.#settleHome());
    if (this.#isStopped) return;
    const waiting = await besidePool('full', () =>
      noticeDefinitions(this.#dataSource, this.#tables, this.#own, this.#interval),
    );
    for (const column of waiting) this.#reportWaiting(column);
  }

  async #hasMoved(): Promise<boolean> {
    const { database } = this.#tables;
    if (database === null) return false;
    const here = await withConnection(this.#dataSource, (runner) => whereAmI(runner, this.#tables));
    return here.database !== identityText(database) || here.installation !== this.#installation.id;
  }

  /** An outage of Redis is reported by the work that needs it. */
  async #settleHome(): Promise<void> {
    try {
      await this.#installation.settleHome?.(this.#dataSource);
    } catch (error) {
      if (!(error instanceof CounterCacheError)) throw error;
      if (error.code === 'STATE_MISMATCH') this.#events.reportOnce('redis', error);
    }
  }

  /** An outage is reported by other work that needs the database; a statement that is not allowed never will be. */
  #reportRefused(error: unknown): void {
    if (!isInsufficientPrivilege(error)) return;
    const { state } = this.#tables;
    const reason = `this process cannot write to ${state} by which definitions it counts: ${(error as Error).message}`;
    const advice = `Grant its role SELECT, INSERT and UPDATE on ${state}; until then other processes take it for gone`;
    const refused = new CounterCacheError('STATE_MISMATCH', `${reason}. ${advice}`, { table: state }, { cause: error });
    this.#events.reportOnce('definitions', refused);
  }

  #reportWaiting({ targetTable, property }: CounterColumn): void {
    const column = `${targetTable.metadata.name}.${property}`;
    const reason = 'a process that declares it differently, or not at all, still runs';
    const advice = 'End processes that run other code, or give all of them the same declarations';
    const message = `${column} waits to be recounted by its new definition: ${reason}. ${advice}`;
    this.#events.reportOnce(`definition ${column}`, new CounterCacheError('STATE_MISMATCH', message, { column }));
  }
}

/**
 * Says that this process counts by its definitions, and notes the recounts that are due because others count, or
 * counted, by other ones. One SELECT, unless something has to be written.
 *
 * @returns columns whose recount has been waiting for long
 */
async function noticeDefinitions(
  dataSource: DataSource,
  tables: TablePaths,
  own: OwnDefinitions,
  interval: number,
): Promise<readonly CounterColumn[]> {
  const glance = await withConnection(dataSource, async (runner) => {
    const found = evaluate(await readDefinitions(runner, tables), own, { interval, isNew: false });
    if (found.seen.size > 0) await refreshHeartbeats(runner, tables, found.seen);
    return found;
  });
  if (glance.changed.size === 0) return glance.waiting;
  return withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
    const isNew = await lockDefinitions(runner, tables);
    // Once more: another process may have been first.
    const { changed, tableIds, waiting } = evaluate(await readDefinitions(runner, tables), own, { interval, isNew });
    await writeDefinitions(runner, tables, changed);
    await startCampaigns(runner, tables, tableIds);
    return waiting;
  });
}
