import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { type Child, startChild } from '../../support/child';
import { ended } from '../programs';
import { note, type RunJournal } from './journal';

/** The roles of the processes of a run. */
export type Role = 'writer' | 'worker';

interface Member {
  child: Child;
  readonly role: Role;
  readonly place: number;
  life: number;
  /** We have ended it, or told it to end. */
  isLeaving: boolean;
}

export interface CrewOptions {
  readonly journal: RunJournal;
  readonly databaseUrl: string;
  readonly seed: number;
  /** What each process runs. @defaultValue the load program */
  readonly program?: string;
  /** Node's flags. */
  readonly flags?: readonly string[];
  /** Hears what processes send; `name` is of one life of one place. */
  readonly onMessage?: (name: string, message: unknown) => void;
}

/** The processes of a load run: each that is killed is replaced at once. */
export class Crew {
  readonly #members: Member[] = [];
  readonly #options: CrewOptions;
  kills = 0;
  /** Processes that ended though nobody told them to, and how. */
  readonly crashes: string[] = [];

  constructor(options: CrewOptions) {
    this.#options = options;
  }

  add(role: Role): void {
    const place = this.#members.length;
    this.#members.push({ child: this.#start(role, place, 0), role, place, life: 0, isLeaving: false });
  }

  get size(): number {
    return this.#members.length;
  }

  places(role: Role): number[] {
    return this.#members.filter((member) => member.role === role).map(({ place }) => place);
  }

  /** SIGKILL for one of the processes, wherever it is; another takes its place. */
  async replace(place: number): Promise<void> {
    const member = this.#member(place);
    member.isLeaving = true;
    await this.#kill(member.child);
    this.kills += 1;
    note(this.#options.journal.folder, 'kills', `${member.role} ${place}.${member.life}`);
    member.life += 1;
    member.child = this.#start(member.role, place, member.life);
    member.isLeaving = false;
  }

  /** Sends something to one process, if it is there; returns its name. */
  send(place: number, message: string): string {
    const { child, role, life } = this.#member(place);
    if (child.connected) child.send(message, () => undefined);
    return nameOf(role, place, life);
  }

  /** Tells all processes of a role to finish; returns how they ended. One that has not after `limit` ms is killed. */
  async stop(role: Role, limit = Infinity): Promise<string[]> {
    const leaving = this.#members.filter((member) => member.role === role);
    return Promise.all(leaving.map((member) => this.#end(member, limit)));
  }

  async #end(member: Member, limit: number): Promise<string> {
    const { child } = member;
    member.isLeaving = true;
    if (isGone(child)) return `${child.signalCode ?? child.exitCode} before it was told to`;
    const end = ended(child);
    child.send('stop', () => undefined);
    if (limit === Infinity) return end;
    const abort = new AbortController();
    const hung = delay(limit, 'hung', { signal: abort.signal }).catch(() => 'hung');
    const how = await Promise.race([end, hung]);
    abort.abort();
    if (how === 'hung') await this.#kill(child);
    return how;
  }

  async killAll(): Promise<void> {
    for (const member of this.#members) member.isLeaving = true;
    await Promise.all(this.#members.map(({ child }) => this.#kill(child)));
  }

  #member(place: number): Member {
    const member = this.#members[place];
    if (member === undefined) throw new Error(`no process at place ${place}`);
    return member;
  }

  async #kill(child: Child): Promise<void> {
    if (isGone(child)) return;
    const end = ended(child);
    child.kill('SIGKILL');
    await end;
  }

  #start(role: Role, place: number, life: number): Child {
    const { databaseUrl, seed, journal, program = 'load-program.ts', flags, onMessage } = this.#options;
    const name = nameOf(role, place, life);
    const environment = {
      PROGRAM_DATABASE: databaseUrl,
      PROGRAM_ROLE: role,
      PROGRAM_NAME: name,
      PROGRAM_SEED: String(seed + 1_000_000 * place + 1_000 * life),
      PROGRAM_JOURNAL: journal.folder,
    };
    const child = startChild(join(__dirname, program), environment, flags);
    if (onMessage !== undefined) child.on('message', (message) => onMessage(name, message));
    child.once('exit', (code, signal) => {
      const member = this.#members[place];
      if (member?.child === child && !member.isLeaving) this.crashes.push(`${name}: ${signal ?? code}`);
    });
    return child;
  }
}

function nameOf(role: Role, place: number, life: number): string {
  return `${role}-${place}.${life}`;
}

function isGone({ exitCode, signalCode }: Child): boolean {
  return exitCode !== null || signalCode !== null;
}
