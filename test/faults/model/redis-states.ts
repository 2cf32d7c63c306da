import type { Call, Json } from './calls';
import { later, namesIn, NEW_BATCH, renamed, renumbered, transactionsIn } from './canonical';
import { Lane, type Patch } from './lane';

/** What a call does to a state of Redis. */
export interface Transition {
  readonly after: number;
  readonly reply: Json;
}

interface Known {
  readonly text: string;
  readonly transactions: readonly number[];
  readonly names: readonly string[];
  /** By the call's text. */
  readonly transitions: Map<string, Transition>;
  /** Derived states, by what was done to the text. */
  readonly derived: Map<string, number>;
}

/** Calls under way at a time, each in a logical database of its own; Redis has 16 of them unless told otherwise. */
const LANES = 8;

/** States of Redis, each known by a number, and the real transitions between them, each executed once. */
export class RedisStates {
  readonly #lanes: readonly Lane[];
  readonly #numbers = new Map<string, number>();
  readonly #states: Known[] = [];
  /** Transitions executed. */
  executed = 0;
  /** The state of a Redis that holds nothing. */
  readonly empty: number;

  private constructor(lanes: readonly Lane[]) {
    this.#lanes = lanes;
    this.empty = this.#numberOf('[]');
  }

  /** On a Redis that nobody else uses: its databases are emptied. */
  static async open(url: string, patches: readonly Patch[] = []): Promise<RedisStates> {
    return new RedisStates(await Lane.open(url, LANES, patches));
  }

  close(): void {
    for (const lane of this.#lanes) lane.close();
  }

  textOf(state: number): string {
    return this.#known(state).text;
  }

  /** Ids of transactions that a state mentions, ascending. */
  transactionsOf(state: number): readonly number[] {
    return this.#known(state).transactions;
  }

  /** Batches and tokens that a state mentions. */
  namesOf(state: number): readonly string[] {
    return this.#known(state).names;
  }

  /** The same state, with a new batch or token under a name of its own. */
  named(state: number, name: string, before: string = NEW_BATCH): number {
    return this.#derive(state, name, (text) => renamed(text, before, name));
  }

  /** The same state, when leases have expired. */
  later(state: number): number {
    return this.#derive(state, 'later', later);
  }

  /** The same state, with other ids of transactions, in the same order. */
  renumbered(state: number, numbers: ReadonlyMap<number, number>): number {
    const own = this.transactionsOf(state).map((id) => [id, numbers.get(id) ?? id] as const);
    if (own.every(([from, to]) => from === to)) return state;
    return this.#derive(state, own.join(';'), (text) => renumbered(text, numbers));
  }

  /** Executes those transitions that are not known yet. */
  async prepare(wanted: Iterable<readonly [state: number, call: Call]>): Promise<void> {
    const missing = new Map<string, readonly [number, Call]>();
    for (const [state, call] of wanted)
      if (!this.#known(state).transitions.has(call.text)) missing.set(`${state} ${call.text}`, [state, call]);
    const queue = [...missing.values()].values();
    await Promise.all(
      this.#lanes.map(async (lane) => {
        for (const [state, call] of queue) await this.#execute(lane, state, call);
      }),
    );
  }

  /** A transition that was prepared. */
  transition(state: number, call: Call): Transition {
    const known = this.#known(state).transitions.get(call.text);
    if (known === undefined) throw new Error(`"${call.text}" was not prepared`);
    return known;
  }

  /** Executes a call and returns the state after. */
  async after(state: number, call: Call): Promise<number> {
    await this.prepare([[state, call]]);
    return this.transition(state, call).after;
  }

  async #execute(lane: Lane, state: number, call: Call): Promise<void> {
    const known = this.#known(state);
    const { after, reply } = await lane.run(known.text, call);
    this.executed += 1;
    known.transitions.set(call.text, { after: this.#numberOf(after), reply });
  }

  #derive(state: number, name: string, change: (text: string) => string): number {
    const { derived, text } = this.#known(state);
    const known = derived.get(name) ?? this.#numberOf(change(text));
    derived.set(name, known);
    return known;
  }

  #numberOf(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.#states.length;
    this.#numbers.set(text, number);
    this.#states.push({
      text,
      transactions: transactionsIn(text),
      names: namesIn(text),
      transitions: new Map(),
      derived: new Map(),
    });
    return number;
  }

  #known(state: number): Known {
    const known = this.#states[state];
    if (known === undefined) throw new Error(`no state of Redis has the number ${state}`);
    return known;
  }
}
