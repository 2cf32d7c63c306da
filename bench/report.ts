import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Table from 'cli-table3';

import type { Benchmark, Results, ResultTable } from './benchmark';
import { ROOT } from './environment';

/** A finished run. */
export interface Run {
  readonly benchmark: Benchmark;
  readonly facts: Readonly<Record<string, string>>;
  readonly results: Results;
}

/** What a person reads on the terminal. */
export function renderText({ facts, results }: Run): string {
  const about = Object.entries(facts).map(([name, value]) => `${name}: ${value}`);
  const tables = results.tables.map(({ title, columns, rows }) => {
    const colAligns = columns.map((_, column) => (column === 0 ? 'left' : 'right'));
    const table = new Table({ head: [...columns], colAligns, style: { head: [], border: [] } });
    table.push(...rows.map((row) => [...row]));
    return `${title}\n${table.toString()}`;
  });
  return [about.join('\n'), ...tables, ...results.notes].join('\n\n');
}

/** Writes bench/results/<name>.json, and the benchmark's section of bench/RESULTS.md. */
export function write(run: Run): string[] {
  const { benchmark, facts, results } = run;
  const json = join(ROOT, 'bench/results', `${benchmark.name}.json`);
  mkdirSync(join(ROOT, 'bench/results'), { recursive: true });
  writeFileSync(json, `${JSON.stringify({ name: benchmark.name, facts, figures: results.figures }, null, 2)}\n`);
  const markdown = join(ROOT, 'bench/RESULTS.md');
  writeFileSync(markdown, replaceSection(read(markdown), benchmark.name, renderSection(run)));
  return [json, markdown];
}

const TITLE = '# Results of the benchmarks\n';

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return TITLE;
    throw error;
  }
}

/** A section reaches from its `## name` to the next one. */
function replaceSection(document: string, name: string, section: string): string {
  const sections = document.trimEnd().split(/\n+(?=## )/);
  const at = sections.findIndex((text) => text.startsWith(`## ${name}\n`));
  return `${sections.toSpliced(at === -1 ? sections.length : at, 1, section).join('\n\n')}\n`;
}

function renderSection({ benchmark: { name, describe }, facts, results }: Run): string {
  const about = Object.entries(facts).map(([fact, value]) => `- ${fact}: ${value}`);
  const tables = results.tables.map((table) => `### ${table.title}\n\n${renderTable(table)}`);
  return [`## ${name}`, describe, about.join('\n'), ...tables, ...results.notes].join('\n\n');
}

/** With columns of equal width, as the formatter wants them. */
function renderTable({ columns, rows }: ResultTable): string {
  const widths = columns.map((head, column) =>
    Math.max(3, head.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => pad(cell, widths[column] ?? 0, column)).join(' | ')} |`;
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(columns), line(rule), ...rows.map(line)].join('\n');
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
