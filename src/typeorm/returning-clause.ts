import type { WriteBuilder } from './write-builder';
import { wrapOnce } from './wrap-once';

/** Where a builder keeps what extends its RETURNING clause: a symbol that two copies of this package share. */
const EXTENSION = Symbol.for('typeorm-counter-cache.returning');
const WRAPPED = Symbol.for('typeorm-counter-cache.returning.wrapped');

type Extended = WriteBuilder & { [EXTENSION]?: ((base: string) => string) | undefined };
type CreateParameters = Parameters<WriteBuilder['createReturningExpression']>;

/**
 * Lets builders of a prototype have their RETURNING clause extended, once per process. A method put on every builder, and
 * deleted from it again, would cost every write.
 */
export function wrapReturning(prototype: WriteBuilder): void {
  wrapOnce(prototype, 'createReturningExpression', WRAPPED, (original) => {
    return function (this: Extended, ...args: CreateParameters): string {
      const base = original.apply(this, args);
      return this[EXTENSION]?.(base) ?? base;
    };
  });
}

/** Has the RETURNING clause of a builder extended; `null` as it was. */
export function extendReturning(builder: Extended, extend: ((base: string) => string) | null): void {
  builder[EXTENSION] = extend ?? undefined;
}
