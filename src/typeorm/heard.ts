import type { QueryRunner } from 'typeorm';

import { Slot } from '../model/slot';

/** `pg`'s connection under its client: it emits every message of the server, answers to others' statements included. */
interface Messages {
  on(name: 'readyForQuery', listener: (message: { readonly status: string }) => void): unknown;
  on(name: 'commandComplete', listener: (message: { readonly text: string }) => void): unknown;
}

interface Client {
  readonly connection?: Messages;
}

/** How the server names the commands that begin, divide or end a transaction. */
const COMMANDS = new Set(['BEGIN', 'START TRANSACTION', 'COMMIT', 'ROLLBACK', 'SAVEPOINT', 'RELEASE']);

/** The longest of them. */
const MAX_LENGTH = Math.max(...[...COMMANDS].map(({ length }) => length));

/**
 * What the server has said on one connection about transactions. It hears commands as well that TypeORM does not: those sent
 * through the client itself (`queryRunner.connect()`), and those behind another in one text.
 */
export interface Heard {
  /** How many transactions are over, at least: it counts every moment in which the connection is in none. */
  ends: number;
  /** Commands that began, divided or ended a transaction. */
  commands: number;
  /** Called, once, when it is in no transaction the next time. */
  onEnd: (() => void) | null;
}

const heard = new Slot<Client, Heard>();

/** What is heard on a query runner's connection from now on; `null` before it has one, or where the driver is not `pg`. */
export function heardOn(runner: QueryRunner): Heard | null {
  const { databaseConnection: client } = runner as unknown as { readonly databaseConnection?: Client };
  if (client === undefined) return null;
  return heard.get(client) ?? listen(client);
}

function listen(client: Client): Heard | null {
  const { connection } = client;
  if (typeof connection?.on !== 'function') return null;
  const found: Heard = { ends: 0, commands: 0, onEnd: null };
  const end = (): void => {
    found.ends += 1;
    const { onEnd } = found;
    found.onEnd = null;
    onEnd?.();
  };
  connection.on('readyForQuery', ({ status }) => {
    if (status === 'I') end();
  });
  connection.on('commandComplete', ({ text }) => {
    if (text.length > MAX_LENGTH || !COMMANDS.has(text)) return;
    found.commands += 1;
    // A new transaction may have begun by the time the server is ready.
    if (text === 'COMMIT') end();
  });
  heard.set(client, found);
  return found;
}
