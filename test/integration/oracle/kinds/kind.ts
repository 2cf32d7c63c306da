import type { World } from '../world';

/** Ways to write, by name. Each makes its own choices; one that finds no row to write still sends its statement. */
export type Kinds = Readonly<Record<string, (world: World) => Promise<unknown>>>;
