import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Table from 'cli-table3';

import type { Benchmark, ResultTable, Summary } from './benchmark';
import { renderSvg } from './chart';
import { ROOT } from './environment';
import { FOLDER, readJson, type Written } from './written';

/** The last run of a benchmark. */
interface Section {
  readonly benchmark: Benchmark;
  readonly written: Written;
  readonly summary: Summary;
}

/** What a person reads on the terminal. */
export function renderText({ facts, notes }: Written, tables: readonly ResultTable[]): string {
  const about = Object.entries(facts).map(([name, value]) => `${name}: ${value}`);
  const rendered = tables.map(({ title, columns, rows, note }) => {
    const colAligns = columns.map((_, column) => (column === 0 ? 'left' : 'right'));
    const table = new Table({ head: [...columns], colAligns, style: { head: [], border: [] } });
    table.push(...rows.map((row) => [...row]));
    return [title, table.toString(), ...(note === undefined ? [] : [note])].join('\n');
  });
  return [about.join('\n'), ...rendered, ...notes].join('\n\n');
}

/** Writes bench/RESULTS.md and the pictures from the last run of every benchmark, and returns their paths. */
export function writeReport(benchmarks: readonly Benchmark[]): string[] {
  const sections = benchmarks.flatMap((benchmark): Section[] => {
    const written = readJson(benchmark.name);
    return written === null ? [] : [{ benchmark, written, summary: benchmark.summarize(written.figures) }];
  });
  const pictures = sections.flatMap(({ benchmark, summary: { charts = [] } }) =>
    charts.map((chart, i) => {
      const file = join(FOLDER, pictureName(benchmark, i));
      writeFileSync(file, renderSvg(chart));
      return file;
    }),
  );
  const markdown = join(ROOT, 'bench/RESULTS.md');
  writeFileSync(markdown, `${renderReport(sections)}\n`);
  return [...pictures, markdown];
}

function pictureName({ name }: Benchmark, index: number): string {
  return `${name}-${index + 1}.svg`;
}

function renderReport(sections: readonly Section[]): string {
  const common = commonFacts(sections.map(({ written }) => written));
  return [
    '# Results of the benchmarks',
    'What the last run of each benchmark found, and how much the library may cost. `bench/results` has all figures, `npm run bench` measures again.',
    renderFacts(common),
    '## Targets',
    renderTable(targetsTable(sections.map(({ written }) => written))),
    ...sections.map((section) => renderSection(section, common)),
  ].join('\n\n');
}

type Facts = Written['facts'];

/** What is true of every run stands once. */
function commonFacts(runs: readonly Written[]): Facts {
  const [first, ...others] = runs;
  const entries = Object.entries(first?.facts ?? {});
  return Object.fromEntries(entries.filter(([name, value]) => others.every(({ facts }) => facts[name] === value)));
}

function targetsTable(runs: readonly Written[]): ResultTable {
  return {
    title: 'Targets',
    columns: ['what', 'target', 'measured', 'met', 'benchmark'],
    rows: runs.flatMap(({ name, targets }) =>
      targets.map(({ what, bound, measured, isMet }) => [what, bound, measured, isMet ? 'yes' : 'no', name]),
    ),
  };
}

function renderSection({ benchmark, written, summary: { table, charts = [] } }: Section, common: Facts): string {
  const { name, describe } = benchmark;
  const own = Object.entries(written.facts).filter(([fact]) => !(fact in common));
  return [
    `## ${name}`,
    `${describe} ${table.title}:`,
    renderTable(table),
    ...(charts.length === 0
      ? []
      : [charts.map(({ title }, i) => `![${title}](results/${pictureName(benchmark, i)})`).join(' ')]),
    [...own.map(([fact, value]) => `- ${fact}: ${value}`), ...written.notes.map((note) => `- ${note}`)].join('\n'),
  ].join('\n\n');
}

function renderFacts(facts: Facts): string {
  return Object.entries(facts)
    .map(([fact, value]) => `- ${fact}: ${value}`)
    .join('\n');
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
