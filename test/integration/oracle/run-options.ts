import type { Client } from 'pg';

import type { Fixture } from '../../support/setup';
import type { Journal } from './journal';
import type { Requests } from './requests';
import type { Setting, Surroundings } from './settings/setting';
import type { Table } from './tables';
import type { Tally } from './tally';
import type { ChosenKeys } from './world';

/** A server on which worlds are made. */
export interface Server {
  /** URL of a superuser; `undefined`: the server of this run, a PostgreSQL 18. */
  readonly url: string | undefined;
  readonly version: number;
}

export interface RunOptions {
  readonly seed: number;
  /** In a concurrent run: of each client. */
  readonly operations: number;
  readonly tally: Tally;
  readonly setting: Setting;
  /** @defaultValue that of this run */
  readonly server?: Server;
}

/** One database, one seed. */
export interface Run extends RunOptions {
  readonly mode: 'sequential' | 'concurrent';
  readonly journal: Journal;
  readonly keys: ChosenKeys;
  readonly fixture: Fixture;
  readonly requests: Requests;
  readonly surroundings: Surroundings;
  /** The superuser's own connection, of which the library knows nothing. */
  readonly sql: Client;
  /** Finds what is wrong. */
  readonly wrongSql: string;
  /** Tables whose rows feed counters. */
  readonly sources: readonly Table[];
}

/** What the library takes the server for: on an 18, odd seeds take the path for servers that return no old rows. */
export function versionOf(seed: number, server?: Server): string {
  if (server !== undefined && server.version < 18) return String(server.version);
  return seed % 2 === 0 ? '18' : '17.0';
}
