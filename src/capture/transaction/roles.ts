import type { QueryRunner } from 'typeorm';

import { Slot } from '../../model/slot';

/** A role that a statement has set. */
interface SetRole {
  /** `null`: that of the connection. */
  readonly role: string | null;
  /** Until the transaction ends. */
  readonly isLocal: boolean;
}

/** Longer ones are not looked at: nearly every statement of an application is one of those. */
const MAX_LENGTH = 300;

const SET =
  /^\s*set\s+(?:(session|local)\s+)?(?:role|session\s+authorization)\s+(?:to\s+|=\s*)?('[^']*'|"(?:[^"]|"")*"|[\w$]+)/i;
const RESET = /^\s*(?:reset\s+(?:role|all|session\s+authorization)|discard\s+all)\b/i;
const CONFIG = /set_config\(\s*'role'\s*,\s*(?:'([^']*)'|\$(\d+))[^,]*,\s*(true|false|\$\d+)/i;

/**
 * The roles that callers have set, as far as their statements show: in a transaction that has failed, the database can be
 * asked no more.
 */
export class Roles {
  readonly #set = new Slot<QueryRunner, SetRole>();

  /** Receives every statement that succeeded. */
  note(runner: QueryRunner, sql: string, parameters: unknown): void {
    if (sql.length > MAX_LENGTH || !maySetRole(sql)) return;
    const set = setRole(sql, Array.isArray(parameters) ? (parameters as unknown[]) : []);
    if (set !== null) this.#set.set(runner, set);
  }

  /** A transaction is over. */
  end(runner: QueryRunner): void {
    if (this.#set.get(runner)?.isLocal === true) this.#set.set(runner, undefined);
  }

  /** `null`: that of the connection. */
  of(runner: QueryRunner | null): string | null {
    return runner === null ? null : (this.#set.get(runner)?.role ?? null);
  }
}

/** By the first letters: SET, RESET, DISCARD; of a SELECT by the function. */
function maySetRole(sql: string): boolean {
  const start = sql.slice(0, 3).toLowerCase();
  return start === 'set' || start === 'res' || start === 'dis' || (start === 'sel' && sql.includes('set_config'));
}

function setRole(sql: string, parameters: readonly unknown[]): SetRole | null {
  if (RESET.test(sql)) return { role: null, isLocal: false };
  const set = SET.exec(sql);
  if (set !== null) return { role: nameOf(set[2] ?? ''), isLocal: set[1]?.toLowerCase() === 'local' };
  const config = CONFIG.exec(sql);
  if (config === null) return null;
  const [, text, parameter, local = ''] = config;
  const role = text ?? parameters[Number(parameter) - 1];
  const isLocal = local.startsWith('$')
    ? parameters[Number(local.slice(1)) - 1] === true
    : local.toLowerCase() === 'true';
  return typeof role === 'string' ? { role: role === 'none' ? null : role, isLocal } : null;
}

function nameOf(given: string): string | null {
  if (given.startsWith('"')) return given.slice(1, -1).replaceAll('""', '"');
  const name = given.startsWith("'") ? given.slice(1, -1) : given.toLowerCase();
  return name === 'none' || name === 'default' ? null : name;
}
