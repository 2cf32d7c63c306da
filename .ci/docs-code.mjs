// Compiles the TypeScript of README.md and docs/*.md against dist/, and bounds what documents hold.
// CONTRIBUTING.md says how the blocks of a document belong together. With --runnable: prints the modules that
// test/docs runs, as JSON.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { wordsOf, wordsOfDocument } from './words.mjs';

const MAX_README_WORDS = 1_200;
const MAX_CELL_WORDS = 25;
const MAX_RESULTS_LINES = 150;
/** In dist/, since every tool ignores it, and the next build removes what a killed run left there. */
const FOLDER = join('dist', 'docs-code');

const documents = ['README.md', ...readdirSync('docs').map((file) => `docs/${file}`)]
  .filter((file) => file.endsWith('.md'))
  .map((name) => ({ name, lines: readFileSync(name, 'utf8').split('\n') }));
const modules = documents.flatMap(modulesOf);

if (process.argv.includes('--runnable')) {
  const runnable = modules.filter(({ isRun }) => isRun);
  const first = (lines) => lines.findIndex((line) => line !== '') + 1;
  console.log(
    JSON.stringify(runnable.map(({ document, lines }) => ({ document, line: first(lines), code: lines.join('\n') }))),
  );
} else {
  const problems = [
    ...compile(),
    ...documents.flatMap(problemsOfTables),
    ...problemsOfReadme(),
    ...problemsOfResults(),
  ];
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exit(1);
}

/** Code stays on the line where the document has it; all other lines are empty. So the compiler names the right line. */
function modulesOf({ name, lines }) {
  const found = [];
  const begin = () => found.push({ document: name, isRun: false, lines: lines.map(() => '') });
  begin();
  let end;
  for (const [at, line] of lines.entries()) {
    const text = line.trim();
    if (end !== undefined) {
      if (text === end) end = undefined;
      else found.at(-1).lines[at] = line;
    } else if (text === '<!-- module -->') begin();
    else if (text === '<!-- run -->') found.at(-1).isRun = true;
    else end = { '```ts': '```', '```typescript': '```', '<!-- ts': '-->' }[text];
  }
  if (end !== undefined) throw new Error(`${name}: code without an end: ${end}`);
  return found.filter((module) => module.lines.some((line) => line !== ''));
}

/** One program: each module is a file of it. */
function compile() {
  mkdirSync(FOLDER, { recursive: true });
  try {
    const files = modules.map(({ lines }, i) => {
      writeFileSync(join(FOLDER, `${i}.mts`), lines.join('\n'));
      return `${i}.mts`;
    });
    const paths = { 'typeorm-counter-cache': [resolve('dist/index.d.ts')] };
    const compilerOptions = { types: ['node'], paths };
    writeFileSync(
      join(FOLDER, 'tsconfig.json'),
      JSON.stringify({ extends: resolve('tsconfig.json'), compilerOptions, files, include: [] }),
    );
    const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
    const { stdout, status } = spawnSync(process.execPath, [tsc, '-p', FOLDER, '--pretty', 'false'], {
      encoding: 'utf8',
    });
    if (status !== 0 && stdout === '') return ['the compiler failed'];
    return stdout.trimEnd().split('\n').filter(Boolean).map(inTheDocument);
  } finally {
    rmSync(FOLDER, { recursive: true, force: true });
  }
}

/** `dist/docs-code/3.mts(5,1): error …` → `docs/recipes.md:5: error …` */
function inTheDocument(message) {
  return message.replace(/^\S*?(\d+)\.mts\((\d+),\d+\)/, (_, module, line) => `${modules[module].document}:${line}`);
}

function problemsOfTables({ name, lines }) {
  return lines.flatMap((line, at) => {
    if (!line.trim().startsWith('|')) return [];
    const longest = Math.max(...line.split(/(?<!\\)\|/).map(wordsOf));
    return longest > MAX_CELL_WORDS
      ? [`${name}:${at + 1}: a table cell of ${longest} words; at most ${MAX_CELL_WORDS}`]
      : [];
  });
}

function problemsOfReadme() {
  const words = wordsOfDocument(documents[0].lines.join('\n'));
  return words > MAX_README_WORDS ? [`README.md: ${words} words; at most ${MAX_README_WORDS}`] : [];
}

function problemsOfResults() {
  const lines = readFileSync('bench/RESULTS.md', 'utf8').trimEnd().split('\n').length;
  return lines > MAX_RESULTS_LINES ? [`bench/RESULTS.md: ${lines} lines; at most ${MAX_RESULTS_LINES}`] : [];
}
