// Builds dist/, or the folder that is named, from nothing: a file that left src/ must not stay in the package.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

const [target = 'dist'] = process.argv.slice(2);
rmSync(target, { recursive: true, force: true });

const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
const compile = [join(typescript, 'bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', target];
execFileSync(process.execPath, compile, { stdio: 'inherit' });

embedLua(
  join('src', 'engines', 'buffered', 'redis', 'lua'),
  join(target, 'engines', 'buffered', 'redis', 'lua-files.js'),
);

/** Replaces the module that reads .lua files by one that holds them: bundlers leave files that are read behind. */
function embedLua(folder, module) {
  const files = readdirSync(folder).filter((file) => file.endsWith('.lua'));
  const texts = Object.fromEntries(
    files.map((file) => [basename(file, '.lua'), readFileSync(join(folder, file), 'utf8')]),
  );
  // Throws when the module was moved or renamed.
  readFileSync(module);
  rmSync(`${module}.map`);
  writeFileSync(
    module,
    `"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.luaFile = luaFile;
const TEXTS = ${JSON.stringify(texts, null, 2)};
function luaFile(name) {
  return TEXTS[name];
}
`,
  );
}
