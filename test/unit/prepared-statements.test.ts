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
  statements = new PreparedStatements({ isOn: () => isKept, onError: (error) => errors.push(error) });
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
  const other = new PreparedStatements({ isOn: () => true, onError: () => undefined });
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

test('a text whose types are out of date gets another name, twice, and is sent as text then', () => {
  prepared(statements, 'INSERT');
  const first = prepared(statements, 'INSERT');
  first?.onError(REPLANNED);
  const second = prepared(statements, 'INSERT');
  expect(second?.name).not.toBe(first?.name);
  // Another connection's failure, under the old name.
  first?.onError(REPLANNED);
  expect(prepared(statements, 'INSERT')?.name).toBe(second?.name);
  second?.onError({ code: '22003' });
  const third = prepared(statements, 'INSERT');
  expect([first?.name, second?.name, undefined]).not.toContain(third?.name);
  third?.onError({ code: 'XX000' });
  for (let i = 0; i < 3; i++) expect(prepared(statements, 'INSERT')).toBeUndefined();
  prepared(statements, 'INSERT 2');
  expect(prepared(statements, 'INSERT 2')).toBeDefined();
  expect(errors).toEqual([]);
});

test.each(['FetchPreparedStatement', 'StorePreparedStatement'])(
  'after a failure in %s nothing is prepared any more, and that is told once',
  (routine) => {
    prepared(statements, 'INSERT');
    const manner = prepared(statements, 'INSERT');
    manner?.onError({ routine });
    manner?.onError({ routine });
    expect(prepared(statements, 'INSERT')).toBeUndefined();
    expect(errors).toEqual([expect.objectContaining({ code: 'CONFIGURATION' })]);
  },
);

test('other errors change nothing, nor do those of statements that were not prepared', () => {
  prepared(statements, 'INSERT');
  const manner = prepared(statements, 'INSERT');
  for (const error of [
    { code: '23505' },
    { code: '26000' },
    { code: '0A000', routine: 'other' },
    null,
    undefined,
    'text',
  ]) {
    manner?.onError(error);
    expect(isStale(error)).toBe(false);
  }
  expect(prepared(statements, 'INSERT')?.name).toBe(manner?.name);
  const replanned = { ...REPLANNED };
  expect(isStale(replanned)).toBe(false);
  manner?.onError(replanned);
  expect(isStale(replanned)).toBe(true);
  // As TypeORM throws it.
  expect(isStale({ driverError: replanned })).toBe(true);
});
