import type { DataSource, EntityManager } from 'typeorm';

import type { Random } from '../../integration/oracle/random';
import { Club, Player, Team } from './league';

/** Passes that upserts of all writers share. */
const PASSES = 300;

/** How a transaction ended, in this client's view. */
export type Ending = 'committed' | 'rolled back' | 'deadlock';

class Undone extends Error {}

/** One client: transactions of random writes, some of which take back a savepoint or everything. */
export class LeagueWriter {
  readonly #dataSource: DataSource;
  readonly #random: Random;
  readonly #note: (text: string) => void;
  #teams: readonly number[] = [];
  #clubs: readonly number[] = [];

  constructor(dataSource: DataSource, random: Random, note: (text: string) => void) {
    this.#dataSource = dataSource;
    this.#random = random;
    this.#note = note;
  }

  async open(): Promise<void> {
    const { manager } = this.#dataSource;
    this.#teams = (await manager.find(Team)).map(({ id }) => id);
    this.#clubs = (await manager.find(Club)).map(({ id }) => id);
  }

  /** @throws whatever keeps a transaction from its end, but a deadlock with another writer */
  async write(): Promise<Ending> {
    try {
      await this.#dataSource.transaction((manager) => this.#fill(manager, 2));
      return 'committed';
    } catch (error) {
      if (error instanceof Undone) return 'rolled back';
      if ((error as { code?: string }).code === '40P01') return 'deadlock';
      throw error;
    }
  }

  async #fill(manager: EntityManager, depth: number): Promise<void> {
    for (let steps = 1 + this.#random.below(4); steps > 0; steps--) {
      if (depth > 0 && this.#random.chance(0.25)) await this.#savepoint(manager, depth - 1);
      else await this.#step(manager);
    }
    if (this.#random.chance(0.15)) throw new Undone();
  }

  async #savepoint(manager: EntityManager, depth: number): Promise<void> {
    this.#note('  savepoint');
    try {
      await manager.transaction((inner) => this.#fill(inner, depth));
      this.#note('  released');
    } catch (error) {
      if (!(error instanceof Undone)) throw error;
      this.#note('  taken back');
    }
  }

  async #step(manager: EntityManager): Promise<void> {
    const pick = this.#random.below(10);
    if (pick < 3) await this.#insert(manager);
    else if (pick < 5) await this.#upsert(manager);
    else await this.#change(manager, pick);
  }

  async #insert(manager: EntityManager): Promise<void> {
    const rows = Array.from({ length: 1 + this.#random.below(3) }, () => this.#row());
    const { identifiers } = await manager.insert(Player, rows);
    this.#note(`  insert ${JSON.stringify(identifiers)} ${JSON.stringify(rows)}`);
  }

  async #upsert(manager: EntityManager): Promise<void> {
    const row = { ...this.#row(), pass: this.#pass() };
    await manager.upsert(Player, [row], ['pass']);
    this.#note(`  upsert ${JSON.stringify(row)}`);
  }

  async #change(manager: EntityManager, pick: number): Promise<void> {
    const [found] = await manager.find(Player, {
      select: { id: true },
      where: this.#random.chance(0.5) ? { pass: this.#pass() } : { teamId: this.#random.pick(this.#teams) },
      order: { id: 'DESC' },
      skip: this.#random.below(20),
      take: 1,
      withDeleted: true,
    });
    if (found === undefined) return;
    const where = { id: found.id };
    const row = this.#row();
    if (pick === 5) await manager.update(Player, where, { teamId: row.teamId, clubId: row.clubId });
    else if (pick === 6) await manager.update(Player, where, { goals: row.goals, active: row.active });
    else if (pick === 7) await manager.delete(Player, where);
    else if (pick === 8) await manager.softDelete(Player, where);
    else await manager.restore(Player, where);
    this.#note(
      `  ${['move', 'change', 'delete', 'soft-delete', 'restore'][pick - 5]} ${JSON.stringify({ ...where, ...row })}`,
    );
  }

  #row(): Pick<Player, 'teamId' | 'clubId' | 'goals' | 'active'> {
    return {
      teamId: this.#random.chance(0.1) ? null : this.#random.pick(this.#teams),
      clubId: this.#random.chance(0.1) ? null : this.#random.pick(this.#clubs),
      goals: this.#random.below(5),
      active: this.#random.chance(0.5),
    };
  }

  #pass(): string {
    return `p${this.#random.below(PASSES)}`;
  }
}
