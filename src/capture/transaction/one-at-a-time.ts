import type { WriteBuilder } from '../../typeorm/write-builder';

/** Where a builder keeps the execution that is under way. */
const EXECUTING = Symbol('typeorm-counter-cache.executing');

type Executing = WriteBuilder & { [EXECUTING]?: Promise<unknown> | undefined };

/** Our changes of a builder last as long as it executes: a second run of the same one waits for the first. */
export function oneAtATime<T>(builder: Executing, work: () => Promise<T>): Promise<T> {
  const result = builder[EXECUTING]?.then(work, work) ?? work();
  builder[EXECUTING] = result;
  return result;
}
