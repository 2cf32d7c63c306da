import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The text of a file of `lua/`, by its name without ending. In the built package this module is another one, made by
 * `.ci/build.mjs`, which holds the texts: a bundler takes along modules, and no other files.
 */
export function luaFile(name: string): string {
  return readFileSync(join(__dirname, 'lua', `${name}.lua`), 'utf8');
}
