import type { WriteBuilder } from './write-builder';

/** Methods of a builder that are wrapped on its prototype. */
type Wrapped = 'execute' | 'createReturningExpression' | 'getQueryAndParameters';

/** Wraps a method of a prototype once per process: `mark` is a symbol that two copies of this package share. */
export function wrapOnce<Name extends Wrapped>(
  prototype: WriteBuilder,
  name: Name,
  mark: symbol,
  wrap: (original: WriteBuilder[Name]) => WriteBuilder[Name],
): void {
  const original = Reflect.get(prototype, name);
  if (Reflect.get(original, mark) === true) return;
  prototype[name] = Object.assign(wrap(original), { [mark]: true });
}
