import { isStale, PreparedStatements } from '../../src/capture/prepared-statements';

/** How the driver is told: see `sendAs`. */
const MANNER = Symbol.for('typeorm-counter-cache.manner');

interface Manner {
  readonly name: string;
  readonly onError: (error: unknown) => void;
}

function prepared(statements: PreparedStatements, text: string): Manner | undefined {
  const parameters: unknown[] & { [MANNER]?: Manner } = [1];
  statements.prepare([text, parameters]);
  return parameters[MANNER];
}

let errors: unknown[];
let isKept: boolean;
let statements: PreparedStatements;
beforeEach(() => {
  errors = [];
  isKept = true;
  statements = new PreparedStatements({ isKept: () => isKept, onError: (error) => errors.push(error) });
});

test('a text is prepared from its second time on, under one name', () => {
  expect(prepared(statements, 'INSERT 1')).toBeUndefined();
  expect(prepared(statements, 'INSERT 2')).toBeUndefined();
  const { name } = prepared(statements, 'INSERT 1') ?? {};
  expect(name).toMatch(/^counter_cache_/);
  expect(prepared(statements, 'INSERT 1')?.name).toBe(name);
  expect(prepared(statements, 'INSERT 2')?.name).not.toBe(name);
});

test('what a connection does not keep is not prepared', () => {
  isKept = false;
  for (let i = 0; i < 3; i++) expect(prepared(statements, 'INSERT')).toBeUndefined();
  isKept = true;
  prepared(statements, 'INSERT');
  expect(prepared(statements, 'INSERT')).toBeDefined();
});

test('100 texts, of 4,096 characters each, at the most', () => {
  const names = Array.from({ length: 150 }, (_, i) => {
    prepared(statements, `INSERT ${i}`);
    return prepared(statements, `INSERT ${i}`)?.name;
  });
  expect(names.filter((name) => name !== undefined)).toHaveLength(100);
  expect(prepared(statements, 'INSERT 99')).toBeDefined();
  const other = new PreparedStatements({ isKept: () => true, onError: () => undefined });
  const long = 'x'.repeat(4_097);
  for (let i = 0; i < 3; i++) expect(prepared(other, long)).toBeUndefined();
});

test('texts that are never sent again are forgotten', () => {
  prepared(statements, 'INSERT');
  for (let i = 0; i < 1_000; i++) prepared(statements, `INSERT ${i}`);
  expect(prepared(statements, 'INSERT')).toBeUndefined();
  expect(prepared(statements, 'INSERT')).toBeDefined();
});

const REPLANNED = { code: '0A000', routine: 'RevalidateCachedQuery' };

test('after a column was altered, statements get new names, once for all that failed', () => {
  prepared(statements, 'INSERT');
  const first = prepared(statements, 'INSERT');
  first?.onError(REPLANNED);
  prepared(statements, 'INSERT');
  const second = prepared(statements, 'INSERT');
  expect(second?.name).not.toBe(first?.name);
  first?.onError(REPLANNED);
  expect(prepared(statements, 'INSERT')?.name).toBe(second?.name);
  expect(errors).toEqual([]);
});

test.each(['26000', '42P05'])('after %s nothing is prepared any more, and that is told once', (code) => {
  prepared(statements, 'INSERT');
  const manner = prepared(statements, 'INSERT');
  manner?.onError({ code });
  manner?.onError({ code });
  expect(prepared(statements, 'INSERT')).toBeUndefined();
  expect(errors).toEqual([expect.objectContaining({ code: 'CONFIGURATION' })]);
});

test('other errors change nothing', () => {
  prepared(statements, 'INSERT');
  const manner = prepared(statements, 'INSERT');
  for (const error of [{ code: '23505' }, { code: '0A000', routine: 'other' }, null, undefined, 'text']) {
    expect(isStale(error)).toBe(false);
    manner?.onError(error);
  }
  expect(prepared(statements, 'INSERT')?.name).toBe(manner?.name);
  expect(isStale(REPLANNED)).toBe(true);
});
