import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { MODES, POINTS } from './points';
import { type Outcome, runCase } from './run-case';
import type { Case } from './stage';
import { documented, labelOf, matrixPart, render, withMatrixPart } from './table';

const DOCUMENT = join(__dirname, '../../../docs/guarantees.md');

const isFull = process.env['FAULTS'] === 'full';
const isUpdate = process.env['UPDATE_DOCS'] === '1';

const CASES: readonly Case[] = POINTS.flatMap((point) =>
  point.at
    .filter((when) => isFull || when === point.short)
    .flatMap((when) => MODES.filter((mode) => point.modes.includes(mode)).map((mode) => ({ point, when, mode }))),
);

const results = new Map<Case, Outcome>();

// At once, because most of the time is spent waiting: for timeouts, and for leases of the dead to end.
test.concurrent.each(CASES.map((one) => [`${one.mode}, ${one.point.group}, ${labelOf(one)}`, one] as const))(
  'I1, I3: killed in %s',
  async (_name, one) => {
    const outcome = await runCase(one);
    results.set(one, outcome);
    expect(outcome).toEqual(isUpdate ? outcome : documented(readFileSync(DOCUMENT, 'utf8'), one));
  },
  90_000,
);

test('every case ran', () => {
  expect(results.size).toBe(CASES.length);
});

// The short form has compared its own cells.
(isFull ? describe : describe.skip)('the whole matrix', () => {
  test('docs/guarantees.md says the same', () => {
    const before = readFileSync(DOCUMENT, 'utf8');
    const part = render(results);
    if (isUpdate) writeFileSync(DOCUMENT, withMatrixPart(before, part));
    expect(matrixPart(readFileSync(DOCUMENT, 'utf8'))).toBe(part);
  });
});
