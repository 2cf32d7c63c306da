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

/** What a process does about changes around it. */
export interface Changes {
  /** The database that connections lead to, or its installation, is another one than was opened. */
  readonly onMoved: () => void;
  /** Looks whether the database's tables have changed. */
  readonly followTables: () => Promise<void>;
}

/** What a presence needs of the process. */
export interface PresenceOptions extends Changes {
  readonly dataSource: DataSource;
  readonly events: Events;
  readonly self: ProcessSelf;
  readonly installation: { readonly id: string } & Pick<JobContext, 'tables' | 'bindToHome'>;
}

/**
 * Says, again and again while this process lives, that it does, and by which definitions it counts; has columns recounted
 * once processes that counted by others are gone; notices when database, tables or Redis are others. Does not keep the process alive.
 */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #own: OwnDefinitions;
  readonly #timer: NodeJS.Timeout;
  #run: Promise<void> | null = null;
  #isStopped = false;

  /** Refreshes at once, and from then on at the interval of `self`, in the background. */
  constructor(definitions: Definitions, options: PresenceOptions) {
    this.#options = options;
    const { dataSource, self } = options;
    this.#own = ownDefinitions(
      definitions,
      dataSource.entityMetadatas.map(({ tablePath }) => tablePath),
    );
    this.#timer = setInterval(() => this.#refresh(true), self.interval).unref();
    // The tables have just been looked at.
    this.#refresh(false);
  }

  /** Refreshes no more; the process goes on, with another presence. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    if (this.#run !== null) await withTimeout(this.#run, STOP_LIMIT, undefined);
  }

  /** The same when the process ends, which other processes learn. */
  async leave(): Promise<void> {
    await this.stop();
    const { dataSource, self, installation } = this.#options;
    if (!dataSource.isInitialized) return;
    const gone = besidePool('full', () =>
      withConnection(dataSource, (runner) => sayGone(runner, installation.tables, self)),
    );
    // One that cannot say so is taken for gone after a while.
    await withTimeout(gone, STOP_LIMIT, undefined).catch(() => undefined);
  }

  #refresh(withTables: boolean): void {
    if (!this.#options.dataSource.isInitialized) return;
    this.#run ??= this.#noticeAll(withTables).finally(() => (this.#run = null));
  }

  async #noticeAll(withTables: boolean): Promise<void> {
    await this.#notice().catch((error: unknown) => this.#reportRefused(error));
    // An outage is reported by other work that needs the database.
    if (withTables) await this.#options.followTables().catch(() => undefined);
  }

  async #notice(): Promise<void> {
    const { dataSource, installation, self, onMoved } = this.#options;
    // Signs of life do not wait for a pool that callers hold.
    if (await besidePool('full', () => this.#hasMoved())) return this.#isStopped ? undefined : onMoved();
    if (this.#isStopped) return;
    await besidePool('full', () => this.#bindToHome());
    if (this.#isStopped) return;
    const waiting = await besidePool('full', () =>
      sayDefinitions(dataSource, installation.tables, this.#own, self.interval),
    );
    for (const column of waiting) this.#reportWaiting(column);
  }

  async #hasMoved(): Promise<boolean> {
    const { dataSource, installation } = this.#options;
    const { id, tables } = installation;
    const { database } = tables;
    if (database === null) return false;
    const here = await withConnection(dataSource, (runner) => whereAmI(runner, tables));
    return here.database !== identityText(database) || here.installation !== id;
  }

  /** An outage of Redis is reported by the work that needs it. */
  async #bindToHome(): Promise<void> {
    const { dataSource, installation, events } = this.#options;
    try {
      await installation.bindToHome?.(dataSource);
    } catch (error) {
      if (!(error instanceof CounterCacheError)) throw error;
      if (error.code === 'STATE_MISMATCH') events.reportOnce('redis', error);
    }
  }

  /** An outage is reported by other work that needs the database; a statement that is not allowed never will be. */
  #reportRefused(error: unknown): void {
    if (!isInsufficientPrivilege(error)) return;
    const { installation, events } = this.#options;
    const { state } = installation.tables;
    const reason = `this process cannot write to ${state} by which definitions it counts: ${(error as Error).message}`;
    const advice = `Grant its role SELECT, INSERT and UPDATE on ${state}; until then other processes take it for gone`;
    const refused = new CounterCacheError('STATE_MISMATCH', `${reason}. ${advice}`, { table: state }, { cause: error });
    events.reportOnce('definitions', refused);
  }

  #reportWaiting({ targetTable, property }: CounterColumn): void {
    const column = `${targetTable.metadata.name}.${property}`;
    const reason = 'a process that declares it differently, or not at all, still runs';
    const advice = 'End processes that run other code, or give all of them the same declarations';
    const message = `${column} waits to be recounted by its new definition: ${reason}. ${advice}`;
    this.#options.events.reportOnce(
      `definition ${column}`,
      new CounterCacheError('STATE_MISMATCH', message, { column }),
    );
  }
}

/**
 * Says that this process counts by its definitions, and notes the recounts that are due because others count, or
 * counted, by other ones. One SELECT, unless something has to be written.
 *
 * @returns columns whose recount has been waiting for long
 */
async function sayDefinitions(
  dataSource: DataSource,
  tables: TablePaths,
  own: OwnDefinitions,
  interval: number,
): Promise<readonly CounterColumn[]> {
  const evaluation = await withConnection(dataSource, async (runner) => {
    const found = evaluate(await readDefinitions(runner, tables), own, { interval, isNew: false });
    if (found.seen.size > 0) await refreshHeartbeats(runner, tables, found.seen);
    return found;
  });
  if (evaluation.changed.size === 0) return evaluation.waiting;
  return withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
    const isNew = await lockDefinitions(runner, tables);
    // Once more: another process may have been first.
    const { changed, tableIds, waiting } = evaluate(await readDefinitions(runner, tables), own, { interval, isNew });
    await writeDefinitions(runner, tables, changed);
    await startCampaigns(runner, tables, tableIds);
    return waiting;
  });
}
