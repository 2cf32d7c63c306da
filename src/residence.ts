import { randomUUID } from 'node:crypto';

import type { DataSource } from 'typeorm';

import type { Definitions } from './model/definition';
import { isInsufficientPrivilege } from './dialects/postgres/privilege-error';
import { CounterCacheError } from './errors';
import type { Events } from './events';
import type { Installation } from './installation';
import { type Changes, Presence } from './worker/presence';
import { startCampaigns } from './dialects/postgres/installation/campaigns';
import type { ProcessSelf } from './dialects/postgres/installation/processes';
import { withConnection } from './dialects/postgres/query';
import { besidePool } from './dialects/postgres/side-connection';
import type { TablePaths } from './dialects/postgres/installation/tables';

/** Which installation a process belongs to, from one to the next, for as long as counters are attached. */
export class Residence {
  readonly self: ProcessSelf;
  readonly #dataSource: DataSource;
  readonly #events: Events;
  readonly #changes: Changes;
  #presence: Presence | null = null;
  /** Id of the installation that was opened last. */
  #opened: string | null = null;
  #hasLeft = false;

  /** `interval`: milliseconds between two signs of life. */
  constructor(dataSource: DataSource, events: Events, interval: number, changes: Changes) {
    this.#dataSource = dataSource;
    this.#events = events;
    this.#changes = changes;
    this.self = { id: randomUUID(), interval };
  }

  /** The DataSource begins again. */
  forget(): void {
    this.#opened = null;
  }

  /**
   * Belongs to this installation from now on, and says so. What the process wrote since it knew another one may be counted
   * under that one, or under none: everything is recounted.
   */
  async enter(installation: Installation, definitions: Definitions): Promise<void> {
    const { id, tables } = installation;
    if (this.#opened !== null && this.#opened !== id) await this.#recount(tables, definitions);
    this.#opened = id;
    await this.#presence?.stop();
    if (this.#hasLeft) return;
    // In the background: a write may be waiting for the installation.
    const [dataSource, events, self] = [this.#dataSource, this.#events, this.self];
    this.#presence = new Presence(definitions, { dataSource, events, self, installation, ...this.#changes });
  }

  async #recount(tables: TablePaths, { targetTables }: Definitions): Promise<void> {
    try {
      await besidePool('full', () =>
        withConnection(this.#dataSource, (runner) => startCampaigns(runner, tables, [...targetTables.keys()])),
      );
    } catch (error) {
      if (!isInsufficientPrivilege(error)) throw error;
      const reason = `the database has another installation now; this process may not write to ${tables.state} that its targets need a recount`;
      const advice = `Run counters.recalculate() in a worker, or grant INSERT and UPDATE on ${tables.state}`;
      this.#events.emit('error', new CounterCacheError('STATE_MISMATCH', `${reason}. ${advice}`, {}, { cause: error }));
    }
  }

  /** The counters are closed. */
  async leave(): Promise<void> {
    this.#hasLeft = true;
    await this.#presence?.leave();
  }
}
