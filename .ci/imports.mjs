import { dirname, posix } from 'node:path';

/** Imports and exports of code that is there when the program runs: types are gone. */
export const LOADS = /^(?:import|export) (?!type)[^;]*?from '(\.[^']+)'/gm;

/** Every import, of types as well. */
export const IMPORTS = /from '(\.[^']+)'/g;

/** File → files that it imports, of `texts`: file → its text. */
export function importsOf(texts, pattern) {
  return new Map(
    [...texts].map(([file, text]) => [
      file,
      [...text.matchAll(pattern)].map(([, path]) => `${posix.join(dirname(file), path)}.ts`),
    ]),
  );
}

/** Files that load themselves by way of others. */
export function cyclesOf(loads) {
  const reach = (start) => {
    const seen = new Set();
    const todo = [...loads.get(start)];
    for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
      if (seen.has(file)) continue;
      seen.add(file);
      todo.push(...(loads.get(file) ?? []));
    }
    return seen;
  };
  return [...loads.keys()].filter((file) => reach(file).has(file));
}
