import { chooseAction } from './actions';
import { runClients } from './clients';
import { Random } from './random';
import { createNamed, type ReplayOptions } from './replay';
import type { World } from './world';

/** How much to write. */
export interface GeneratorOptions extends ReplayOptions {
  /** Rows to write; `Infinity` goes on until the signal. */
  readonly writes: number;
  readonly seed: number;
  /** Between two requests of one client, in ms. @defaultValue 0 */
  readonly pause?: number;
}

/** The parents: few of them get most of the children. */
const PARENTS = { users: 500, stores: 50, products: 200, movies: 100 } as const;

/** Creates the parents that the clients write about, of every kind of which there are none. */
export async function completeWorld(world: World, options: ReplayOptions): Promise<void> {
  for (const [path, count] of Object.entries(PARENTS) as [keyof typeof PARENTS, number][]) {
    if (world[path].size > 0) continue;
    const names = Array.from({ length: count }, (_, i) => `${path} ${i + 1}`);
    world[path].add(...(await createNamed(options, `/${path}`, names)));
  }
}

/** Many clients at once, each with random actions of its own, most of them about few popular rows. */
export async function generateWrites(world: World, options: GeneratorOptions): Promise<void> {
  const { http, tally, clients, writes, seed, signal, onProgress } = options;
  const randoms = Array.from({ length: clients }, (_, client) => new Random(seed * 1_000 + client));
  await runClients(clients, async (client) => {
    const random = randoms[client] ?? new Random(seed);
    const context = { http, world, random, tally };
    await chooseAction(context).run(context);
    onProgress(Math.min(tally.total, writes), writes);
    if (options.pause !== undefined) await new Promise((resolve) => setTimeout(resolve, options.pause));
    return tally.total < writes && !signal.aborted;
  });
}
