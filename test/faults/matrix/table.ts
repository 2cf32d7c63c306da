import type { Mode } from 'typeorm-counter-cache';

import type { When } from './place';
import { type Group, MODES, type Point, POINTS } from './points';
import type { Outcome } from './run-case';
import type { Case } from './stage';

const BEGIN = '<!-- matrix: begin -->';
const END = '<!-- matrix: end -->';

const DIES: Readonly<Record<When, (name: string) => string>> = {
  before: (name) => `before ${name}`,
  sent: (name) => `${name} sent, not answered`,
  after: (name) => `after ${name}`,
};

/** What a case is called, in the document and among the tests. */
export function labelOf({ point, when }: Pick<Case, 'point' | 'when'>): string {
  return DIES[when](point.name);
}

/** The part of a document between the markers. */
export function matrixPart(document: string): string {
  const [start, end] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`expected the markers ${BEGIN} and ${END}`);
  return document.slice(start + BEGIN.length, end).trim();
}

export function withMatrixPart(document: string, part: string): string {
  const start = document.indexOf(BEGIN) + BEGIN.length;
  return `${document.slice(0, start)}\n\n${part}\n\n${document.slice(document.indexOf(END))}`;
}

/** What a document says of a case. */
export function documented(document: string, { point, when, mode }: Case): Outcome {
  const section = matrixPart(document)
    .split('### ')
    .find((text) => text.startsWith(`${titleOf(point.group)}\n`));
  const rows = (section ?? '').split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  const row = rows.find(([, label]) => label === labelOf({ point, when }));
  const cell = (heading: string): string | undefined => row?.[rows[2]?.indexOf(heading) ?? -1];
  return {
    columns: cell(mode) as Outcome['columns'],
    transaction: (cell('its transaction') ?? null) as Outcome['transaction'],
  };
}

/** A heading and a table per group, formatted as the formatter does. */
export function render(results: ReadonlyMap<Case, Outcome>): string {
  const groups = [...new Set(POINTS.map(({ group }) => group))];
  return groups.map((group) => `### ${titleOf(group)}\n\n${tableOf(group, results)}`).join('\n\n');
}

function titleOf(group: Group): string {
  return group.charAt(0).toUpperCase() + group.slice(1);
}

function tableOf(group: Group, results: ReadonlyMap<Case, Outcome>): string {
  const points = POINTS.filter((point) => point.group === group);
  const modes = MODES.filter((mode) => points.some((point) => point.modes.includes(mode)));
  const isWriter = [...results].some(([{ point }, { transaction }]) => point.group === group && transaction !== null);
  const rows = points.flatMap((point) => point.at.map((when) => rowOf(point, when, modes, isWriter, results)));
  return format([['the process dies', ...(isWriter ? ['its transaction'] : []), ...modes], ...rows]);
}

function rowOf(
  point: Point,
  when: When,
  modes: readonly Mode[],
  isWriter: boolean,
  results: ReadonlyMap<Case, Outcome>,
): string[] {
  const own = [...results].filter(([one]) => one.point === point && one.when === when);
  const transactions = [...new Set(own.map(([, { transaction }]) => transaction))].join(', ');
  return [
    labelOf({ point, when }),
    ...(isWriter ? [transactions] : []),
    ...modes.map((mode) => own.find(([one]) => one.mode === mode)?.[1].columns ?? '–'),
  ];
}

function format([headings = [], ...rows]: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`;
  return [headings, widths.map((width) => '-'.repeat(width)), ...rows].map(line).join('\n');
}
