// Prints how long files and functions of src/ are, and the like: of the working tree, or of a revision.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseSync } from '@swc/core';
import { cyclesOf, importsOf, LOADS } from './imports.mjs';
import { wordsOfDocument } from './words.mjs';

const FUNCTIONS = new Set(['FunctionDeclaration', 'ClassMethod', 'PrivateMethod', 'Constructor', 'MethodProperty']);
const ACCESSORS = new Set(['GetterProperty', 'SetterProperty']);
const ARROWS = new Set(['ArrowFunctionExpression', 'FunctionExpression']);

const [revision] = process.argv.slice(2);
const paths = git(revision === undefined ? ['ls-files'] : ['ls-tree', '-r', '--name-only', revision])
  .trim()
  .split('\n');
const texts = new Map(paths.filter((path) => /^src\/.*\.ts$/.test(path)).map((path) => [path, read(path)]));
const lines = [...texts.values()].map((text) => text.trimEnd().split('\n').length);
const functions = [...texts.values()].flatMap(functionsOf);

const figures = {
  revision: revision === undefined ? 'working tree' : git(['log', '-1', '--format=%h %s', revision]).trim(),
  'files of src': texts.size,
  'lines of src': lines.reduce((sum, one) => sum + one, 0),
  'lines per file, median': median(lines),
  'lines per file, most': Math.max(...lines),
  'functions with a name': functions.length,
  'lines per function, median': median(functions),
  'lines per function, most': Math.max(...functions),
  'files in import cycles': cyclesOf(importsOf(texts, LOADS)).length,
  'files per walk, at most': walks(),
  'words of README.md': wordsOfDocument(read('README.md')),
};
for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(28)}${value}`);

function git(args) {
  return execFileSync('git', args, { encoding: 'utf8', maxBuffer: 2 ** 27 });
}

function read(path) {
  return revision === undefined ? readFileSync(path, 'utf8') : git(['show', `${revision}:${path}`]);
}

function median(values) {
  const sorted = values.toSorted((left, right) => left - right);
  const [below, above] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return (below + above) / 2;
}

/** What test/walks bounds. */
function walks() {
  const path = 'test/walks/walks.test.ts';
  const [, bounds] = (paths.includes(path) && /const \w+ = \{ (save: \d+, recount: \d+) \}/.exec(read(path))) || [];
  return bounds ?? 'not bounded';
}

/** Lines of each function, method and accessor that has a name; callbacks are part of the function around them. */
function functionsOf(text) {
  // The compiler counts bytes on and on, from file to file: the module begins at what was put in front of it.
  const source = Buffer.from(`;${text}`);
  const ast = parseSync(source.toString(), { syntax: 'typescript', decorators: true });
  const found = [];
  visit(ast, ({ start, end }) => {
    const code = source.subarray(start - ast.span.start, end - ast.span.start).toString();
    found.push(code.split('\n').length);
  });
  return found;
}

function visit(node, onFunction) {
  if (node === null || typeof node !== 'object') return;
  // A method's span is its own; a function behind a name is the declaration's value.
  const value = node.init ?? node.value;
  const hasBody = node.body ?? node.function?.body;
  if ((FUNCTIONS.has(node.type) && hasBody) || ACCESSORS.has(node.type)) onFunction(node.span);
  else if (/Declarator$|Property$/.test(node.type) && ARROWS.has(value?.type)) onFunction(value.span);
  for (const child of Object.values(node)) visit(child, onFunction);
}
