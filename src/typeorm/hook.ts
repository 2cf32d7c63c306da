import type { DataSource } from 'typeorm';

import { wrapReturning } from './returning-clause';
import { wrapOnce } from './wrap-once';
import { checkBuilder, type WriteBuilder, writeBuilders, type WriteResult } from './write-builder';

/** Runs the write of one builder, or `null` when the write feeds no counter and is none of our business. */
export type WriteHook = (builder: WriteBuilder, execute: () => Promise<WriteResult>) => Promise<WriteResult> | null;

/** Where a DataSource keeps its hook: a symbol that two copies of this package share. */
const HOOK = Symbol.for('typeorm-counter-cache.hook');
const WRAPPED = Symbol.for('typeorm-counter-cache.wrapped');

type Hooked = DataSource & { [HOOK]?: WriteHook };

/**
 * Lets every entity-level write of a DataSource pass through `hook`, by wrapping `execute` on the prototypes of the
 * write builders, once per process. They are the one choke point: `save` ends there as well, events do not carry what
 * is needed, and `registerQueryBuilderClass` is reset by every `new DataSource`.
 *
 * @returns a function that removes the hook from this DataSource; the wrapped prototypes stay, and do nothing for it
 */
export function hookWrites(dataSource: DataSource, hook: WriteHook): () => void {
  for (const builder of writeBuilders(dataSource)) {
    checkBuilder(builder);
    const prototype = Object.getPrototypeOf(builder) as WriteBuilder;
    wrapExecute(prototype);
    wrapReturning(prototype);
  }
  const hooked = dataSource as Hooked;
  hooked[HOOK] = hook;
  return () => {
    if (hooked[HOOK] === hook) delete hooked[HOOK];
  };
}

function hookOf(dataSource: Hooked): WriteHook | undefined {
  return dataSource[HOOK];
}

function wrapExecute(prototype: WriteBuilder): void {
  wrapOnce(prototype, 'execute', WRAPPED, (original) => {
    return function (this: WriteBuilder): Promise<WriteResult> {
      const hook = hookOf(this.dataSource);
      return hook?.(this, () => original.call(this)) ?? original.call(this);
    };
  });
}
