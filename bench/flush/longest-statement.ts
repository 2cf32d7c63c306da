/** A client of pg, as far as it is watched. */
interface Querying {
  query(...args: unknown[]): unknown;
}

/** Watches every statement of every client: the longest time from the call until the answer. */
export function longestOf(prototype: object): { longest(): number; reset(): void } {
  let longest = 0;
  const client = prototype as Querying;
  const query = Reflect.get(client, 'query');
  client.query = function (this: unknown, ...args: unknown[]): unknown {
    const began = performance.now();
    const note = (): void => void (longest = Math.max(longest, performance.now() - began));
    const callback = args.at(-1);
    if (typeof callback !== 'function') {
      const answer = query.apply(this, args) as Promise<unknown>;
      answer.then(note, note);
      return answer;
    }
    const noting = (...results: unknown[]): unknown => {
      note();
      return (callback as (...all: unknown[]) => unknown)(...results);
    };
    return query.apply(this, [...args.slice(0, -1), noting]);
  };
  return { longest: () => longest, reset: () => void (longest = 0) };
}
