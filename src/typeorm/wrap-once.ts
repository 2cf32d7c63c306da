/** Wraps a method of a prototype once per process: `mark` is a symbol that two copies of this package share. */
export function wrapOnce<Host extends object, Name extends keyof Host>(
  prototype: Host,
  name: Name,
  mark: symbol,
  wrap: (original: Host[Name]) => Host[Name],
): void {
  const original = prototype[name];
  if (Reflect.get(original as object, mark) === true) return;
  prototype[name] = Object.assign(wrap(original) as object, { [mark]: true }) as Host[Name];
}
