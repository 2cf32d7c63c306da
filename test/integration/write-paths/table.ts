import type { Extra, Measured } from './measure';
import type { WritePath } from './write-path';

const BEGIN = '<!-- measured: begin -->';
const END = '<!-- measured: end -->';

const HEADINGS = [
  'write path',
  'captured by',
  'extra queries, PostgreSQL 18',
  'extra queries before 18',
  'own transaction',
  'Redis calls before / after COMMIT',
];

/** A write path with what it costs on both kinds of server. */
export interface Row {
  readonly path: WritePath;
  readonly current: Measured;
  readonly earlier: Measured;
}

/** The part of a document between the markers. */
export function measuredPart(document: string): string {
  const [start, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`expected the markers ${BEGIN} and ${END}`);
  return document.slice(start + BEGIN.length, end).trim();
}

export function withMeasuredPart(document: string, part: string): string {
  const start = document.indexOf(BEGIN) + BEGIN.length;
  return `${document.slice(0, start)}\n\n${part}\n\n${document.slice(document.indexOf(END))}`;
}

/** A heading and a table per group, formatted as the formatter does. */
export function render(rows: readonly Row[]): string {
  const groups = [...new Set(rows.map(({ path }) => path.group))];
  return groups
    .map((name) => `### ${name}\n\n${table(rows.filter(({ path }) => path.group === name).map(cells))}`)
    .join('\n\n');
}

function cells({ path, current, earlier }: Row): string[] {
  return [
    path.name,
    current.captured.join(', ') || '–',
    queries(current.extra),
    queries(earlier.extra),
    transactions(current.extra.transactions),
    redisCalls(current.extra, earlier.extra),
  ];
}

function queries({ queries: before, afterCommit }: Extra): string {
  return afterCommit === 0 ? String(before) : `${before} + ${afterCommit} after COMMIT`;
}

function transactions(count: number): string {
  return ['–', 'yes'][count] ?? String(count);
}

function redisCalls(current: Extra, earlier: Extra): string {
  const [now, then] = [current, earlier].map(({ awaited, later }) => `${awaited} / ${later}`);
  return now === then ? String(now) : `${now} (before 18: ${then})`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = HEADINGS.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [HEADINGS, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('\n');
}
