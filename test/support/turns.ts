import { setImmediate as nextTurn } from 'node:timers/promises';

/** Resolves after that many turns of the event loop: a place between other work, at no time in particular. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await nextTurn();
}
