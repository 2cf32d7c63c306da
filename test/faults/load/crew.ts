import { join } from 'node:path';

import { type Child, startChild } from '../../support/child';
import { ended } from '../programs';
import { note, type RunJournal } from './journal';

/** The roles of the processes of a run. */
export type Role = 'writer' | 'worker';

/** The processes of a load run: each that is killed is replaced at once. */
export class Crew {
  readonly #members: { child: Child; readonly role: Role; readonly place: number; life: number }[] = [];
  readonly #journal: RunJournal;
  readonly #databaseUrl: string;
  readonly #seed: number;
  kills = 0;

  constructor(options: { readonly journal: RunJournal; readonly databaseUrl: string; readonly seed: number }) {
    this.#journal = options.journal;
    this.#databaseUrl = options.databaseUrl;
    this.#seed = options.seed;
  }

  add(role: Role): void {
    const place = this.#members.length;
    this.#members.push({ child: this.#start(role, place, 0), role, place, life: 0 });
  }

  get size(): number {
    return this.#members.length;
  }

  /** SIGKILL for one of the processes, wherever it is; another takes its place. */
  async replace(place: number): Promise<void> {
    const member = this.#members[place];
    if (member === undefined) throw new Error(`no process at place ${place}`);
    await this.#kill(member.child);
    this.kills += 1;
    note(this.#journal.folder, 'kills', `${member.role} ${place}.${member.life}`);
    member.life += 1;
    member.child = this.#start(member.role, place, member.life);
  }

  /** Tells all processes of a role to finish; returns how they ended. */
  async stop(role: Role): Promise<string[]> {
    const leaving = this.#members.filter((member) => member.role === role).map(({ child }) => child);
    return Promise.all(
      leaving.map((child) => {
        const end = ended(child);
        child.send('stop');
        return end;
      }),
    );
  }

  async killAll(): Promise<void> {
    await Promise.all(this.#members.map(({ child }) => this.#kill(child)));
  }

  async #kill(child: Child): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const end = ended(child);
    child.kill('SIGKILL');
    await end;
  }

  #start(role: Role, place: number, life: number): Child {
    return startChild(join(__dirname, 'load-program.ts'), {
      PROGRAM_DATABASE: this.#databaseUrl,
      PROGRAM_ROLE: role,
      PROGRAM_NAME: `${role}-${place}.${life}`,
      PROGRAM_SEED: String(this.#seed + 1_000_000 * place + 1_000 * life),
      PROGRAM_JOURNAL: this.#journal.folder,
    });
  }
}
