import type { DataSource, EntityManager } from 'typeorm';

import { Player } from '../faults/load/league';
import { type Ending, LeagueWriter } from '../faults/load/league-writer';
import type { Random } from '../integration/oracle/random';
import { SLOW, SLOW_COMMIT, SLOW_STATEMENT } from './settings';

/** How a piece of work ended for the application that asked for it. */
export type Outcome = Ending | 'timed out' | 'connection lost' | 'duplicate';

/** A client of an application whose statements are sometimes slow, and that gives up what fails. */
export class SlowWriter {
  readonly #dataSource: DataSource;
  readonly #random: Random;
  readonly #timeouts: number;
  readonly #usual: LeagueWriter;
  readonly #teams: number;

  /** `timeouts`: the part of its statements that take longer than they may. */
  constructor(
    dataSource: DataSource,
    random: Random,
    { timeouts, targets, note }: { timeouts: number; targets: number; note: (text: string) => void },
  ) {
    this.#dataSource = dataSource;
    this.#random = random;
    // Of some four statements of a transaction one is slow at most.
    this.#timeouts = 4 * timeouts;
    this.#teams = targets;
    this.#usual = new LeagueWriter(dataSource, random, note);
  }

  open(): Promise<void> {
    return this.#usual.open();
  }

  /** @throws what no application of a database should see */
  async write(): Promise<Outcome> {
    try {
      if (!this.#random.chance(this.#timeouts)) return await this.#usual.write();
      await this.#slow();
      return 'committed';
    } catch (error) {
      const outcome = outcomeOf(error);
      if (outcome === null) throw error;
      return outcome;
    }
  }

  /** A statement that is slow: alone, behind others, uncounted behind counted ones, or a COMMIT. */
  #slow(): Promise<unknown> {
    const { manager } = this.#dataSource;
    const ways = [
      () => manager.insert(Player, this.#player(SLOW_STATEMENT)),
      () => manager.update(Player, { pass: this.#pass() }, { goals: SLOW_STATEMENT }),
      () => this.#inTransaction((inner) => inner.insert(Player, this.#player(SLOW_STATEMENT))),
      () => this.#inTransaction((inner) => inner.query(`SELECT pg_sleep(${SLOW})`)),
      () => this.#inTransaction((inner) => inner.save(Player, this.#player(SLOW_COMMIT))),
    ];
    return this.#random.pick(ways)();
  }

  #inTransaction(work: (manager: EntityManager) => Promise<unknown>): Promise<unknown> {
    return this.#dataSource.transaction(async (manager) => {
      await manager.insert(Player, this.#player(1));
      return work(manager);
    });
  }

  #player(goals: number): Pick<Player, 'teamId' | 'clubId' | 'goals' | 'active'> {
    const [teamId, clubId] = [1 + this.#random.below(this.#teams), 1 + this.#random.below(this.#teams)];
    return { teamId, clubId, goals, active: this.#random.chance(0.5) };
  }

  #pass(): string {
    return `p${this.#random.below(300)}`;
  }
}

const LOST =
  /Connection terminated|[Qq]uery runner (was )?already released|ECONNREFUSED|ECONNRESET|EPIPE|not queryable|timeout exceeded when trying to connect|Client has encountered a connection error/;

/** Of the server: it shuts down, starts, or its connection broke. */
const LOST_CODES = /^(57P0[123]|08\w{3}|53300)$/;

function outcomeOf(error: unknown): Outcome | null {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  if (code === '40P01') return 'deadlock';
  if (code === '23505') return 'duplicate';
  if (/Query read timeout/.test(message)) return 'timed out';
  return LOST_CODES.test(code) || LOST.test(message) ? 'connection lost' : null;
}
