import type { Fixture } from '../../support/setup';
import type { Journal } from './journal';
import type { Requests } from './requests';
import type { Tally } from './tally';
import type { ChosenKeys } from './world';

export interface RunOptions {
  readonly seed: number;
  /** In a concurrent run: of each client. */
  readonly operations: number;
  readonly tally: Tally;
}

/** One database, one seed. */
export interface Run extends RunOptions {
  readonly mode: 'sequential' | 'concurrent';
  readonly journal: Journal;
  readonly keys: ChosenKeys;
  readonly fixture: Fixture;
  readonly requests: Requests;
}

/** Odd seeds take the path for servers before 18, which return no old rows. */
export function versionOf(seed: number): '18' | '17.0' {
  return seed % 2 === 0 ? '18' : '17.0';
}
