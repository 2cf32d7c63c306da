import { Client } from 'pg';

import type { ScriptName } from '../../../src/engines/buffered/redis/scripts';
import { Meter } from '../../support/meter';

/** What one write sent. */
export interface Sent {
  /** Statements, whole, by whatever connection. */
  readonly sql: readonly string[];
  /** How many of them were sent after the last COMMIT. */
  readonly afterCommit: number;
  readonly scripts: readonly ScriptName[];
  /** How many of them had been answered or sent before the last COMMIT. */
  readonly scriptsBeforeCommit: number;
  /** Other commands to Redis. */
  readonly commands: readonly string[];
}

/** Sees whole statements, and where among them the calls to Redis stand. */
export class Wire {
  readonly #meter = new Meter();
  readonly #sql: string[] = [];
  readonly #scripts: ScriptName[] = [];
  readonly #commands: string[] = [];
  #committedAt: { readonly sql: number; readonly scripts: number } | null = null;
  readonly #restore: () => void;

  constructor() {
    const prototype = Client.prototype as unknown as { query(...args: unknown[]): unknown };
    const query = Reflect.get(prototype, 'query');
    const note = (sql: string): void => this.#note(sql);
    prototype.query = function (this: unknown, ...args: unknown[]): unknown {
      const [first] = args as [string | { text?: string }];
      note(typeof first === 'string' ? first : (first.text ?? ''));
      return query.apply(this, args);
    };
    this.#restore = () => (prototype.query = query);
  }

  /** What was sent since the last call. */
  take(): Sent {
    this.#takeFromMeter();
    const committed = this.#committedAt ?? { sql: this.#sql.length, scripts: this.#scripts.length };
    this.#committedAt = null;
    return {
      afterCommit: this.#sql.length - committed.sql,
      scriptsBeforeCommit: committed.scripts,
      sql: this.#sql.splice(0),
      scripts: this.#scripts.splice(0),
      commands: this.#commands.splice(0),
    };
  }

  close(): void {
    this.#restore();
    this.#meter.close();
  }

  #note(sql: string): void {
    this.#sql.push(sql.trim());
    if (!/^COMMIT\b/.test(sql)) return;
    this.#takeFromMeter();
    this.#committedAt = { sql: this.#sql.length, scripts: this.#scripts.length };
  }

  #takeFromMeter(): void {
    const { scripts, commands } = this.#meter.take();
    this.#scripts.push(...scripts);
    this.#commands.push(...commands);
  }
}
