import type { Call, Json } from './calls';
import type { RedisStates } from './redis-states';
import type { Mishaps, State } from './state';

/** A rule of the callers, or of SQL; those of Redis are left out by patches. */
export type CallersRule =
  | 'fence'
  | 'ledger'
  | 'outboxSum'
  | 'repair of fenced batches'
  | 'failed announcements'
  | 'request from memory'
  | 'give back'
  | 'incarnation'
  | 'barrier of a rebuilding'
  | 'rebuilding is noted';

/** Who acts, and what may go wrong. */
export interface Scenario extends Partial<Mishaps> {
  readonly writers?: number;
  readonly recalculators?: number;
  /** 2: the second column is recounted only by a repair. */
  readonly columns?: 1 | 2;
  /** Announcements and confirms may fail, with or without effect, and arrive late. */
  readonly outages?: boolean;
  /** The outbox may fail as well. */
  readonly memory?: boolean;
  /** The sweep takes an intent for stale while its writer is merely slow. */
  readonly early?: boolean;
  /** Every write asks for a recalculation. */
  readonly scheduled?: boolean;
  /** Something is wrong at first, and a recalculation requested. */
  readonly wrong?: boolean;
  readonly without?: CallersRule;
}

/** A scenario that says everything. */
export type ResolvedScenario = Required<Omit<Scenario, 'without'>> & { readonly without: CallersRule | null };

const DEFAULTS: ResolvedScenario = {
  writers: 2,
  recalculators: 1,
  columns: 1,
  outages: false,
  memory: false,
  early: false,
  scheduled: false,
  wrong: true,
  crashes: 0,
  wipes: 0,
  saves: 0,
  rewinds: 0,
  locks: 0,
  refusals: 0,
  purges: 0,
  visits: 0,
  looks: 0,
  without: null,
};

/** With defaults. */
export function resolveScenario(scenario: Scenario): ResolvedScenario {
  return { ...DEFAULTS, ...scenario };
}

/** What the actors act in. */
export interface World {
  readonly scenario: ResolvedScenario;
  readonly redis: RedisStates;
  /** A transaction id, or a snapshot's end, above all that the state mentions. */
  readonly nextTransaction: (state: State) => number;
  /** A name that the state does not mention. */
  readonly freshName: (state: State, kind: 'batch' | 'token') => string;
}

/** One call of Redis, one SQL transaction, or one mishap. */
export interface Step {
  readonly name: string;
  /** Nothing waits for it: a crash, an outage, or somebody who looks in vain. */
  readonly mishap?: boolean;
  readonly call?: Call;
  /** Redis has changed already; `false`: it was no step after all. */
  readonly change: (state: State, reply: Json) => void | false;
}

/** Somebody, or something, that takes steps: all that are possible in a state. */
export type Actor = (state: State, world: World) => Step[];

/** A mishap of which a scenario has so many: somebody dies, or sleeps for long. */
export function crash(name: string, end: (state: State) => void): Step {
  return {
    name,
    mishap: true,
    change: (state) => {
      state.left.crashes -= 1;
      end(state);
    },
  };
}
