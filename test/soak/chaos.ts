import { setTimeout as delay } from 'node:timers/promises';

import type { Crew } from '../faults/load/crew';
import { note } from '../faults/load/journal';
import type { OwnServers } from '../faults/load/servers';
import { Deck, type Random } from '../integration/oracle/random';
import { SOAK } from './settings';

const ALL = [
  ...Array.from({ length: 5 }, () => 'writer killed' as const),
  ...Array.from({ length: 3 }, () => 'worker killed' as const),
  'Redis restarted with its data',
  'Redis away for a while',
  'Redis restarted empty',
  'PostgreSQL restarted',
] as const;
type ChaosEvent = (typeof ALL)[number];

/** Those that are not ruled out. */
const EVENTS = ALL.filter((event) => SOAK.events === null || SOAK.events.test(event));

/** Longest time for which Redis is away, ms. */
const AWAY = 3_000;

/** One death or restart after the other; every kind has come before any comes again. */
export class Chaos {
  readonly counts: Partial<Record<ChaosEvent, number>> = {};
  readonly #crew: Crew;
  readonly #servers: OwnServers;
  readonly #random: Random;
  readonly #folder: string;
  /** Places whose processes live for ever: their memory is measured. */
  readonly #elders: ReadonlySet<number>;
  readonly #deck: Deck<ChaosEvent>;

  constructor(options: {
    readonly crew: Crew;
    readonly servers: OwnServers;
    readonly random: Random;
    readonly folder: string;
    readonly elders: readonly number[];
  }) {
    this.#crew = options.crew;
    this.#servers = options.servers;
    this.#random = options.random;
    this.#folder = options.folder;
    this.#elders = new Set(options.elders);
    this.#deck = new Deck(EVENTS, options.random);
  }

  /** Goes on until `isOver`. */
  async run(isOver: () => boolean): Promise<void> {
    if (SOAK.killEvery === 0 || EVENTS.length === 0) return;
    const kinds = new Set<ChaosEvent>();
    while (!isOver()) {
      await delay(SOAK.killEvery);
      if (isOver()) return;
      let event = this.#deck.deal();
      // In the beginning, each kind once: a short run has all of them.
      while (kinds.size < new Set(EVENTS).size && kinds.has(event)) event = this.#deck.deal();
      kinds.add(event);
      note(this.#folder, 'chaos', event);
      await this.#happen(event);
      this.counts[event] = (this.counts[event] ?? 0) + 1;
    }
  }

  async #happen(event: ChaosEvent): Promise<void> {
    const { redis, postgres } = this.#servers;
    if (event === 'writer killed') return this.#kill('writer');
    if (event === 'worker killed') return this.#kill('worker');
    if (event === 'PostgreSQL restarted') return postgres.restart();
    if (event === 'Redis restarted with its data') return redis.restart({ keepData: true });
    if (event === 'Redis restarted empty') return redis.restart({ keepData: false });
    await redis.kill();
    await delay(this.#random.below(AWAY));
    await redis.restart({ keepData: true });
  }

  #kill(role: 'writer' | 'worker'): Promise<void> {
    const mortals = this.#crew.places(role).filter((place) => !this.#elders.has(place));
    return this.#crew.replace(this.#random.pick(mortals));
  }
}
