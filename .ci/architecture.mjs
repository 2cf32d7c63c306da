// Draws the rooms of src/ from their imports into docs/architecture.md; with --check, fails when the document says something else.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { cyclesOf, IMPORTS, importsOf, LOADS } from './imports.mjs';

const SOURCE = 'src';
const DOCUMENT = 'docs/architecture.md';
const [BEGIN, END] = ['<!-- picture: begin -->', '<!-- picture: end -->'];
const FACADE = 'façade';

const files = readdirSync(SOURCE, { recursive: true })
  .map((file) => normalize(String(file)))
  .filter((file) => file.endsWith('.ts'));
const texts = new Map(files.map((file) => [file, readFileSync(join(SOURCE, file), 'utf8')]));
const imports = importsOf(texts, IMPORTS);

function roomOf(file) {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : FACADE;
}

function alphabetically(left, right) {
  return left.localeCompare(right);
}

/** Room → other rooms that it imports. */
function arrows() {
  const found = new Map();
  for (const [file, targets] of imports) {
    const from = roomOf(file);
    if (from === FACADE) continue;
    const rooms = found.get(from) ?? new Set();
    found.set(from, rooms);
    for (const to of targets.map(roomOf)) if (to !== from && to !== FACADE) rooms.add(to);
  }
  return found;
}

function render() {
  const rooms = new Map();
  for (const file of files) {
    rooms.set(roomOf(file), (rooms.get(roomOf(file)) ?? 0) + 1);
  }
  const names = [...rooms.keys()].filter((room) => room !== FACADE).toSorted(alphabetically);
  const picture = ['```mermaid', 'flowchart TD'];
  for (const name of names) picture.push(`  ${name}["${name}/<br>${rooms.get(name)} files"]`);
  for (const [from, targets] of [...arrows()].toSorted(([left], [right]) => alphabetically(left, right)))
    for (const to of [...targets].toSorted(alphabetically)) picture.push(`  ${from} --> ${to}`);
  picture.push('```');
  const loops = cyclesOf(importsOf(texts, LOADS));
  const figures = `${files.length} files; ${rooms.get(FACADE)} of them are the façade, and what all rooms use. Files in import cycles: ${loops.length === 0 ? 'none' : loops.join(', ')}.`;
  return [BEGIN, '', ...picture, '', figures, '', END].join('\n');
}

const before = readFileSync(DOCUMENT, 'utf8');
const after = before.replace(new RegExp(`${BEGIN}[^]*${END}`), render());
if (!process.argv.includes('--check')) {
  writeFileSync(DOCUMENT, after);
} else if (before !== after) {
  console.error(`${DOCUMENT} is not up to date: npm run docs:architecture`);
  process.exit(1);
}
