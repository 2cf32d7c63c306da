import type { DataSource } from 'typeorm';

import type { WakeUp } from './model/pending';
import type { Definitions } from './model/definition';
import { notInitialized } from './errors';
import type { Events } from './events';
import type { FollowedTables } from './followed-tables';
import type { Installation, Installer } from './installation';
import type { JobContext } from './engines/context';
import { handOverWakeUp } from './model/own-wake-up';
import { rebuild } from './recount/campaign';
import { reportCopied, reportLost, type SweptEpochs } from './recount/lost-shards';
import { scheduleOrReport } from './schedule/scheduler';
import type { StartedWorkers } from './worker/started-workers';
import type { ResolvedCountersOptions } from './options';
import { Outage } from './outage';
import type { Permissions } from './dialects/postgres/permissions/permissions';
import { reportUnlessLeft } from './reports';
import type { Residence } from './residence';
import { countedTables } from './dialects/postgres/installation/counted-tables';
import { sideConnectionOf } from './dialects/postgres/side-connection';

/** Wake-ups that cannot be set within this time of each other fail in one outage, ms. */
const SCHEDULING_OUTAGE = 60_000;

/** What is counted in a DataSource, for as long as its metadata last. */
export interface Counted {
  readonly definitions: Definitions;
  readonly tables: FollowedTables;
  readonly permissions: Permissions;
}

/** An installation that is open, and what jobs do with it. */
export interface OpenInstallation {
  readonly installation: Installation;
  readonly context: JobContext;
}

/** What opening needs of the library around it. */
export interface OpeningOptions {
  readonly dataSource: DataSource;
  readonly options: ResolvedCountersOptions;
  readonly events: Events;
  readonly installer: Installer;
  readonly residence: Residence;
  readonly workers: StartedWorkers;
  /** Whether a buffer that lost its data is an error; one that ends with its process is known to. */
  readonly reportsLoss: boolean;
}

/** Opens the installation of a DataSource when it is first needed, and again when there is another one. */
export class Opening {
  readonly #options: OpeningOptions;
  readonly #scheduling: Outage;
  readonly #background = new Set<Promise<void>>();
  #counted: Counted | null = null;
  #opening: Promise<OpenInstallation> | null = null;
  #current: OpenInstallation | null = null;
  /** Settles when the last attempt to open is over. */
  #lastAttempt: Promise<unknown> = Promise.resolve();
  #isReopening = false;
  #last: OpenInstallation | null = null;
  #isClosing = false;

  constructor(options: OpeningOptions) {
    this.#options = options;
    this.#scheduling = new Outage((error) => options.events.emit('error', error), { quiet: SCHEDULING_OUTAGE });
  }

  /** `null` until the DataSource has metadata. */
  get counted(): Counted | null {
    return this.#counted;
  }

  /** The installation that is open; `null` while it is being opened. */
  get current(): OpenInstallation | null {
    return this.#current;
  }

  /** The one that was opened last, though it may be being opened again; `null` before the first. */
  get last(): OpenInstallation | null {
    return this.#last;
  }

  /** Begins again after the DataSource built its metadata: nothing is open any more. */
  begin(counted: Counted): void {
    this.#counted = counted;
    this.#close();
    this.#last = null;
    this.#options.residence.forget();
  }

  /** Rejects with what keeps it from being opened; the next call tries again. */
  open(): Promise<OpenInstallation> {
    return (this.#opening ??= this.#attempt());
  }

  /** Opens again, in the background: connections lead to another database or installation. Calls during that do nothing. */
  reopen(): void {
    if (this.#isClosing || this.#isReopening) return;
    this.#isReopening = true;
    this.#close();
    const { dataSource, events } = this.#options;
    this.#run(
      // The one that is kept may lead to the database that was.
      sideConnectionOf(dataSource)
        .close()
        .then(() => this.open())
        .then(() => undefined)
        .catch((error: unknown) => events.emit('error', error))
        .finally(() => (this.#isReopening = false)),
    );
  }

  /** Opens again, and waits for it: the library's tables are others by now, or were emptied. */
  async openAgain(): Promise<OpenInstallation> {
    await this.#counted?.tables.follow();
    this.#close();
    return this.open();
  }

  /** Begins nothing in the background any more. */
  stop(): void {
    this.#isClosing = true;
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    await this.#opening?.catch(() => undefined);
    await Promise.all(this.#background);
  }

  /** Attempts run one after the other: each finds what the one before has opened. */
  #attempt(): Promise<OpenInstallation> {
    const opening = this.#lastAttempt.then(() => this.#install());
    this.#lastAttempt = opening.catch(() => undefined);
    const settle = (opened: OpenInstallation | null): void => {
      if (this.#opening !== opening) return;
      this.#current = opened;
      if (opened === null) this.#opening = null;
    };
    opening.then(settle, () => settle(null));
    return opening;
  }

  /** The next call of {@link open} opens again. */
  #close(): void {
    this.#opening = null;
    this.#current = null;
  }

  async #install(): Promise<OpenInstallation> {
    const counted = this.#counted;
    if (counted === null) throw notInitialized();
    const { definitions, tables, permissions } = counted;
    const { dataSource, installer, residence, workers, events } = this.#options;
    await tables.catalogue.load();
    const installation = await permissions.opening(() =>
      installer.open({
        tables: countedTables(dataSource, definitions),
        onLost: (swept) => this.#rebuild(swept),
        onCopied: (reason) => reportCopied({ events }, reason),
      }),
    );
    if (!this.#isClosing) await residence.enter(installation, definitions);
    const context = this.#contextOf(installation, definitions);
    const opened = { installation, context };
    if (this.#counted === counted) this.#last = opened;
    if (!this.#isClosing) {
      const followed = workers.follow(opened).then(() => installer.closeFormer());
      this.#run(followed.catch((error: unknown) => events.emit('error', error)));
    }
    return opened;
  }

  #contextOf(installation: Installation, definitions: Definitions): JobContext {
    const { dataSource, options, events } = this.#options;
    const { tables, buffer, bindToHome } = installation;
    return {
      dataSource,
      tables,
      buffer,
      bindToHome,
      definitions,
      options,
      events,
      schedule: (wakeUps) => this.#scheduleWith(installation, wakeUps),
      handOver: handOverWakeUp,
      onEmptied: () => this.reopen(),
      // A call of the user's is finished; workers say when they stop.
      isStopping: () => false,
    };
  }

  /** In the background: it may take long, and a write may be waiting for the buffer to open. */
  #rebuild({ lost }: SweptEpochs): void {
    const { events, reportsLoss } = this.#options;
    if (reportsLoss) reportLost({ events }, lost);
    this.#run(
      this.open()
        .then(({ context }) => rebuild({ ...context, isStopping: () => this.#isClosing }))
        // What this process may not list is left to a worker, whose sweep finds that it is not finished.
        .catch((error: unknown) => reportUnlessLeft(events, error)),
    );
  }

  #run(work: Promise<void>): void {
    const running = work.finally(() => this.#background.delete(running));
    this.#background.add(running);
  }

  #scheduleWith({ scheduler }: Installation, wakeUps: readonly WakeUp[]): Promise<void> {
    // Of one that was left it may be closed; other processes that are there look for themselves, only later.
    const hasLeft = this.#last !== null && this.#last.installation.scheduler !== scheduler;
    return wakeUps.length === 0 || hasLeft ? Promise.resolve() : scheduleOrReport(scheduler, wakeUps, this.#scheduling);
  }
}
