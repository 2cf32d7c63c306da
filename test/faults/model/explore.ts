import { HELD, raiseEpoch, requestRepair, SCHEDULE } from './calls';
import { finders } from './finders';
import { copyOf, freshName, identityOf, nextTransaction, normalize } from './identity';
import { recalculators } from './recalculators';
import type { RedisStates } from './redis-states';
import { resolveScenario, type ResolvedScenario, type Scenario, type Step, type World } from './scenario';
import { IDLE_FINDER, IDLE_RECALCULATOR, IDLE_SWEEPER, IDLE_WORKER, type State, type Writer } from './state';
import { surroundings } from './surroundings';
import { sweeper } from './sweeper';
import { workers } from './workers';
import { writers } from './writers';

/** What an exploration found. */
export interface Exploration {
  /** Distinct states. */
  readonly states: number;
  /** States in which nobody has anything to do. */
  readonly quiet: number;
  /** The first state that is wrong, with the steps that lead there; null: all are right. */
  readonly wrong: { readonly what: string; readonly path: readonly string[] } | null;
}

const ACTORS = [writers, sweeper, workers, recalculators, finders, surroundings];

/** States taken together: their calls run at once. */
const TOGETHER = 512;

/** More than any scenario has: something in a state that is never twice the same. */
const TOO_MANY = 1_000_000;

/** Visits every interleaving, breadth first. */
export async function explore(scenario: Scenario, redis: RedisStates): Promise<Exploration> {
  return new Search(resolveScenario(scenario), redis).run();
}

class Search {
  readonly #world: World;
  readonly #numbers = new Map<string, number>();
  /** Those that are still to be expanded. */
  readonly #states: (State | null)[] = [];
  readonly #from: number[] = [];
  readonly #steps: string[] = [];
  /** By state, those that steps other than mishaps lead to. */
  readonly #following: (readonly number[])[] = [];
  readonly #quiet: number[] = [];

  constructor(scenario: ResolvedScenario, redis: RedisStates) {
    this.#world = {
      scenario,
      redis,
      nextTransaction: (state) => nextTransaction(state, redis),
      freshName: (state, kind) => freshName(state, kind, redis),
    };
  }

  async run(): Promise<Exploration> {
    this.#visit(await this.#start(), -1, 'start');
    for (let at = 0, to = 0; at < this.#states.length; at = to) {
      to = Math.min(at + TOGETHER, this.#states.length);
      const wrong = await this.#expand(at, to);
      if (wrong !== null) return this.#result(wrong.what, wrong.state);
      if (this.#states.length > TOO_MANY) throw new Error(`more than ${TOO_MANY} states`);
    }
    const stuck = this.#restless();
    return stuck === null ? this.#result(null, 0) : this.#result('never comes to rest', stuck);
  }

  async #start(): Promise<State> {
    const { redis, scenario } = this.#world;
    const { crashes, wipes, saves, rewinds, locks, refusals, purges, visits, looks } = scenario;
    const zero = [0, 0].slice(0, scenario.columns);
    let dump = await redis.after(redis.empty, raiseEpoch(1));
    // Where the second column is wrong, too, only a repair recounts it.
    if (scenario.wrong) dump = await redis.after(dump, scenario.columns === 2 ? requestRepair(0) : SCHEDULE);
    const column = scenario.wrong ? [5, 50].slice(0, scenario.columns) : zero;
    const writer: Writer = { at: 'start', id: 0, via: 'nothing', errands: [], late: null };
    const sql = { column, truth: zero, waiting: null, parked: null, ledger: {}, old: [], epoch: 1, rebuilding: false };
    return {
      redis: dump,
      saved: -1,
      life: 1,
      sql: { ...sql, life: 1, lock: 0 },
      writers: Array.from({ length: scenario.writers }, () => ({ ...writer })),
      worker: IDLE_WORKER,
      zombie: IDLE_WORKER,
      recalculators: Array.from({ length: scenario.recalculators }, () => IDLE_RECALCULATOR),
      sweeper: IDLE_SWEEPER,
      finders: Array.from({ length: looks > 0 ? 2 : 1 }, () => IDLE_FINDER),
      left: { crashes, wipes, saves, rewinds, locks, refusals, purges, visits, looks },
    };
  }

  /** Takes the steps of some states; returns the first one found that is quiet and wrong. */
  async #expand(from: number, to: number): Promise<{ readonly state: number; readonly what: string } | null> {
    const { redis } = this.#world;
    const taken = this.#states
      .slice(from, to)
      .flatMap((state, i) => (state === null ? [] : [this.#stepsOf(from + i, state)]));
    this.#states.fill(null, from, to);
    await redis.prepare(taken.flatMap(({ state, steps }) => callsOf(state.redis, steps)));
    const quiet = taken.filter(({ number, state, steps }) => this.#take(number, state, steps));
    await redis.prepare(quiet.map(({ state }) => [state.redis, HELD] as const));
    for (const { number, state } of quiet) {
      this.#quiet.push(number);
      const what = this.#wrongIn(state);
      if (what !== null) return { state: number, what };
    }
    return null;
  }

  #stepsOf(number: number, state: State) {
    return { number, state, steps: ACTORS.flatMap((actor) => actor(state, this.#world)) };
  }

  /** Returns whether the state is quiet. */
  #take(number: number, state: State, steps: readonly Step[]): boolean {
    const following: number[] = [];
    for (const step of steps) {
      const next = copyOf(state);
      const transition = step.call && this.#world.redis.transition(next.redis, step.call);
      if (transition !== undefined) next.redis = transition.after;
      if (step.change(next, transition?.reply ?? null) === false) continue;
      const to = this.#visit(next, number, step.name);
      if (to !== number && step.mishap !== true) following.push(to);
    }
    this.#following[number] = following;
    return following.length === 0;
  }

  #visit(state: State, from: number, step: string): number {
    normalize(state, this.#world.redis);
    const text = identityOf(state);
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#states.length;
    this.#numbers.set(text, number);
    this.#states.push(state);
    this.#from.push(from);
    this.#steps.push(step);
    return number;
  }

  #wrongIn({ redis, sql }: State): string | null {
    const right = sql.column.every((amount, i) => amount === sql.truth[i]);
    if (!right) return `column ${sql.column.join(' and ')}, truth ${sql.truth.join(' and ')}`;
    const held = this.#world.redis.transition(redis, HELD).reply;
    return held === 0 ? null : `right, but Redis holds what nobody takes: ${this.#world.redis.textOf(redis)}`;
  }

  /** A state from which no quiet one can be reached without a mishap. */
  #restless(): number | null {
    const leading: number[][] = this.#states.map(() => []);
    for (const [from, following] of this.#following.entries()) for (const to of following) leading[to]?.push(from);
    const resting = new Uint8Array(this.#states.length);
    const queue = [...this.#quiet];
    for (const state of queue) resting[state] = 1;
    for (let state = queue.pop(); state !== undefined; state = queue.pop())
      for (const before of leading[state] ?? []) {
        if (resting[before] === 1) continue;
        resting[before] = 1;
        queue.push(before);
      }
    const first = resting.indexOf(0);
    return first < 0 ? null : first;
  }

  #result(what: string | null, state: number): Exploration {
    const figures = { states: this.#states.length, quiet: this.#quiet.length };
    return { ...figures, wrong: what === null ? null : { what, path: this.#pathTo(state) } };
  }

  #pathTo(state: number): string[] {
    const path: string[] = [];
    for (let at = state; at > 0; at = this.#from[at] ?? 0) path.unshift(this.#steps[at] ?? '');
    return path;
  }
}

function callsOf(dump: number, steps: readonly Step[]) {
  return steps.flatMap(({ call }) => (call === undefined ? [] : [[dump, call] as const]));
}
