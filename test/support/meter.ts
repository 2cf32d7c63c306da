import { createHash } from 'node:crypto';

import { Redis } from 'ioredis';
import { Client } from 'pg';

import { SCRIPTS, type ScriptName, scriptText } from '../../src/engines/buffered/redis/scripts';

/** What was sent to the servers by this process since the last look. */
export interface Sent {
  /** Statements, each shortened to its first words. */
  readonly sql: readonly string[];
  /** Our own Lua functions, by name, in the order sent. */
  readonly scripts: readonly ScriptName[];
  /** All other commands of any client in this process, BullMQ's included, but for PING, which idle connections send every 15 s. */
  readonly commands: readonly string[];
}

/** Counts what goes over the wire, by wrapping the clients' own `query` and `sendCommand`. */
export class Meter {
  readonly #sql: string[] = [];
  readonly #scripts: ScriptName[] = [];
  readonly #commands: string[] = [];
  readonly #restore: (() => void)[] = [];
  /** Scripts sent and not yet answered: now, and the most at one time. */
  #inFlight = 0;
  mostInFlight = 0;

  constructor() {
    this.#wrapPostgres();
    this.#wrapRedis();
  }

  /** What was sent since the last call. */
  take(): Sent {
    this.mostInFlight = 0;
    return { sql: this.#sql.splice(0), scripts: this.#scripts.splice(0), commands: this.#commands.splice(0) };
  }

  /** What was sent for a piece of work. */
  async during(work: () => Promise<unknown>): Promise<Sent> {
    this.take();
    await work();
    return this.take();
  }

  close(): void {
    for (const restore of this.#restore.splice(0)) restore();
  }

  #wrapPostgres(): void {
    const prototype = Client.prototype as unknown as { query(...args: unknown[]): unknown };
    const sent = this.#sql;
    const query = Reflect.get(prototype, 'query');
    prototype.query = function (this: unknown, ...args: unknown[]): unknown {
      const [first] = args as [string | { text?: string }];
      sent.push(shorten(typeof first === 'string' ? first : (first.text ?? '')));
      return query.apply(this, args);
    };
    this.#restore.push(() => (prototype.query = query));
  }

  #wrapRedis(): void {
    type Command = { name: string; args: unknown[]; promise: Promise<unknown> };
    const prototype = Redis.prototype as unknown as { sendCommand(command: Command, ...rest: unknown[]): unknown };
    const sendCommand = Reflect.get(prototype, 'sendCommand') as (...args: unknown[]) => unknown;
    const note = (command: Command): void => this.#note(command);
    prototype.sendCommand = function (this: unknown, command, ...rest): unknown {
      note(command);
      return sendCommand.call(this, command, ...rest);
    };
    this.#restore.push(() => (prototype.sendCommand = sendCommand));
  }

  #note({ name, args, promise }: { name: string; args: unknown[]; promise: Promise<unknown> }): void {
    const script = name === 'evalsha' ? BY_SHA.get(String(args[0])) : undefined;
    if (script === undefined) {
      if (name !== 'ping') this.#commands.push(name);
      return;
    }
    this.#scripts.push(script);
    this.mostInFlight = Math.max(this.mostInFlight, (this.#inFlight += 1));
    const answered = (): void => void (this.#inFlight -= 1);
    promise.then(answered, answered);
  }
}

function shorten(sql: string): string {
  return sql.trim().replaceAll(/\s+/g, ' ').split(' ').slice(0, 3).join(' ');
}

/** Our scripts by what EVALSHA calls them; must be sent once before, since the first time it is EVAL. */
const BY_SHA = new Map(
  (Object.keys(SCRIPTS) as ScriptName[]).map((name) => [
    createHash('sha1').update(scriptText(name)).digest('hex'),
    name,
  ]),
);
