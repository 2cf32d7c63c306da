import * as fc from 'fast-check';
import {
  Between,
  Column,
  DataSource,
  Entity,
  Equal,
  In,
  IsNull,
  LessThan,
  LessThanOrEqual,
  MoreThan,
  MoreThanOrEqual,
  Not,
  PrimaryColumn,
} from 'typeorm';

import type { Row } from '../../../src/counter/definition';
import { compileWhere, type Where } from '../../../src/counter/where';
import { createDatabase, type TestDatabase } from '../../support/database';

class Part {
  @Column({ type: 'int', nullable: true }) size!: number | null;
}

@Entity()
class Thing {
  @PrimaryColumn() id!: number;
  @Column({ type: 'int', nullable: true }) int!: number | null;
  @Column({ type: 'bigint', nullable: true }) bigint!: string | null;
  @Column({ type: 'numeric', nullable: true }) numeric!: string | null;
  @Column({ type: 'real', nullable: true }) real!: number | null;
  @Column({ type: 'float8', nullable: true }) double!: number | null;
  @Column({ type: 'boolean', nullable: true }) boolean!: boolean | null;
  @Column({ type: Boolean, nullable: true, name: 'boolean 2' }) constructed!: boolean | null;
  @Column({ type: 'timestamptz', nullable: true }) timestamptz!: Date | null;
  @Column({ type: 'timestamp', nullable: true }) timestamp!: Date | null;
  @Column({ type: 'date', nullable: true }) date!: string | null;
  @Column({ type: 'text', nullable: true }) text!: string | null;
  @Column({ type: 'char', length: 5, nullable: true }) char!: string | null;
  @Column({ type: 'varchar', nullable: true, collation: 'caseless' }) collated!: string | null;
  @Column({ type: 'enum', enum: ['red', 'green'], nullable: true }) enum!: string | null;
  @Column({ type: 'uuid', nullable: true }) uuid!: string | null;
  @Column({ type: 'jsonb', nullable: true }) json!: unknown;
  @Column({ type: 'int', array: true, nullable: true }) list!: number[] | null;
  @Column({
    type: 'int',
    nullable: true,
    transformer: { to: (cents: number) => cents * 100, from: (raw: number) => raw / 100 },
  })
  scaled!: number | null;
  @Column(() => Part) part!: Part;
}

const UUIDS = ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '00000000-0000-0000-0000-000000000001'];
const DAYS = ['2026-01-01', '1969-12-31', '2000-02-29'];
const TIMES = [
  '2026-01-01 00:00:00.123456',
  '2026-01-01 00:00:00.123',
  '1969-12-31 23:59:59.9999',
  '2000-01-01',
  'infinity',
  '-infinity',
];

/** What the rows hold, as SQL text; every column also holds NULL. */
const STORED: Record<string, string[]> = {
  int: ['0', '1', '-1', '2147483647'],
  bigint: ['0', '9007199254740993', '9007199254740992', '-9223372036854775808'],
  numeric: ['1.5', '1.50', '0.1', '-3', 'NaN', 'Infinity', '-Infinity', '12345678901234567890.123456789'],
  real: ['0.1', '1.5', '-0', 'NaN', 'Infinity', '16777217'],
  double: ['0.1', '0.30000000000000004', '-0', 'NaN', '-Infinity'],
  boolean: ['true', 'false'],
  'boolean 2': ['true', 'false'],
  timestamptz: TIMES,
  timestamp: TIMES,
  date: [...DAYS, 'infinity'],
  text: ['', 'a', 'A', 'a ', 'é'],
  char: ['a', 'a  ', 'B'],
  collated: ['a', 'A', 'e\u0301'],
  enum: ['red', 'green'],
  uuid: UUIDS,
  json: ['1'],
  list: ['{1}'],
  scaled: ['100', '150'],
  partSize: ['1', '2'],
};

const dates = [new Date(2026, 0, 1, 0, 0, 0, 123), new Date('1969-12-31T23:59:59.999Z'), new Date(2000, 0, 1)];

/** What a `where` may compare each property with. */
const VALUES: Record<string, readonly unknown[]> = {
  int: [0, 1, -1, 2147483647, 1.5, 2 ** 31, '1'],
  bigint: ['9007199254740993', 0, 9007199254740992, -5, '9223372036854775808'],
  numeric: ['1.5', 1.5, 0.1, -3, '12345678901234567890.123456789', 'NaN', 1e-7],
  real: [0.1, 1.5, 0, 16777217, Number.NaN],
  double: [0.1, 0.3, 0.1 + 0.2, 0, Infinity],
  boolean: [true, false],
  constructed: [true, false],
  timestamptz: dates,
  timestamp: dates,
  date: [...DAYS, new Date(2026, 0, 1)],
};

const EQUAL_ONLY: Record<string, readonly unknown[]> = {
  text: ['', 'a', 'A', 'a ', 'é', 5],
  char: ['a', 'a ', 'B'],
  collated: ['a', 'A', 'é'],
  enum: ['red', 'green', 'blue'],
  uuid: [UUIDS[0], UUIDS[1]?.toUpperCase()],
  scaled: [1, 1.5],
};

type Conditions = fc.Arbitrary<unknown>;

function condition(values: readonly unknown[], ordered: boolean): Conditions {
  const value = fc.constantFrom(...values);
  const { inner } = fc.letrec<{ inner: unknown }>((tie) => ({
    inner: fc.oneof(
      { maxDepth: 3 },
      value,
      value.map(Equal),
      fc.array(value, { maxLength: 3 }).map((list) => In(list)),
      fc.constant(IsNull()),
      ...(ordered
        ? [
            value.map(LessThan),
            value.map(LessThanOrEqual),
            value.map(MoreThan),
            value.map(MoreThanOrEqual),
            fc.tuple(value, value).map(([a, b]) => Between(a, b)),
          ]
        : []),
      tie('inner').map(Not),
    ),
  }));
  return inner;
}

const conditions: Record<string, Conditions> = {
  ...Object.fromEntries(Object.entries(VALUES).map(([name, values]) => [name, condition(values, true)])),
  ...Object.fromEntries(Object.entries(EQUAL_ONLY).map(([name, values]) => [name, condition(values, false)])),
  json: fc.constantFrom(IsNull(), Not(IsNull())),
  list: fc.constantFrom(IsNull(), Not(IsNull())),
  part: condition([1, 2], true).map((size) => ({ size })),
};

// One property or two: with more, hardly a row is left.
const wheres = fc
  .subarray(Object.keys(conditions), { minLength: 1, maxLength: 2 })
  .chain((names) =>
    fc.record(Object.fromEntries(names.map((name) => [name, conditions[name] ?? fc.constant(IsNull())]))),
  );

describe('a compiled where', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let rows: Row[];

  beforeAll(async () => {
    database = await createDatabase();
    dataSource = await new DataSource({
      type: 'postgres',
      url: database.url,
      entities: [Thing],
    }).initialize();
    await dataSource.query(
      "CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    );
    await dataSource.synchronize();
    let id = 0;
    await dataSource.query('INSERT INTO thing (id) VALUES (0)');
    for (const [column, values] of Object.entries(STORED)) {
      for (const value of values) {
        id += 1;
        await dataSource.query(`INSERT INTO thing (id, ${dataSource.driver.escape(column)}) VALUES ($1, $2)`, [
          id,
          value,
        ]);
      }
    }
    // Some rows with everything set.
    for (let n = 0; n < 4; n++) {
      id += 1;
      const columns = Object.keys(STORED).map((name) => `"${name.replaceAll('"', '""')}"`);
      const values = Object.values(STORED).map((list) => list[n % list.length]);
      await dataSource.query(
        `INSERT INTO thing (id, ${columns.join(', ')}) VALUES (${[id, ...values].map((_, i) => `$${i + 1}`).join(', ')})`,
        [id, ...values],
      );
    }
    rows = await dataSource.query('SELECT * FROM thing ORDER BY id');
  });

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  function compile(where: unknown): Where {
    const problems: string[] = [];
    const compiled = compileWhere(where, {
      metadata: dataSource.getMetadata(Thing),
      driver: dataSource.driver,
      problem: (message) => problems.push(message),
    });
    if (compiled === null) throw new Error(problems.join('\n'));
    return compiled;
  }

  async function select(where: Where): Promise<unknown[]> {
    const parameters: unknown[] = [];
    const sql = where.toSql(
      't',
      (value) => `$${parameters.push(value)}`,
      (name) => `"${name.replaceAll('"', '""')}"`,
    );
    const found: Row[] = await dataSource.query(`SELECT id FROM thing t WHERE ${sql} ORDER BY id`, parameters);
    return found.map(({ id }) => id);
  }

  const idsInJs = (where: Where): unknown[] => rows.filter((row) => where.test(row)).map(({ id }) => id);

  it('selects the same rows in JS as in SQL', async () => {
    await fc.assert(
      fc.asyncProperty(wheres, async (where) => {
        const compiled = compile(where);
        expect(idsInJs(compiled)).toEqual(await select(compiled));
      }),
      { numRuns: 1_000 },
    );
  });

  it.each(
    Object.entries({ ...VALUES, ...EQUAL_ONLY }).flatMap(([name, values]) =>
      values.map((value) => [name, value] as const),
    ),
  )('agrees on %s = %p, and on its negation', async (name, value) => {
    for (const where of [compile({ [name]: value }), compile({ [name]: Not(value) })])
      expect(idsInJs(where)).toEqual(await select(where));
  });

  it('finds something', () => {
    expect(idsInJs(compile({ numeric: 1.5 }))).toHaveLength(4);
    expect(idsInJs(compile({ scaled: 1.5 }))).toHaveLength(3);
    expect(idsInJs(compile({ timestamptz: dates[0] })).length).toBeGreaterThan(1);
    expect(idsInJs(compile({ uuid: UUIDS[0]?.toUpperCase() })).length).toBeGreaterThan(0);
    expect(idsInJs(compile({ part: { size: 2 } }))).toHaveLength(3);
  });

  it('leaves rows out for which it is unknown, and so does its negation', () => {
    const all = idsInJs(compile({}));
    expect(all).toHaveLength(rows.length);
    const known = [...idsInJs(compile({ int: 1 })), ...idsInJs(compile({ int: Not(1) }))];
    expect(known).toHaveLength(idsInJs(compile({ int: Not(IsNull()) })).length);
    expect(idsInJs(compile({ int: Not(In([])) }))).toHaveLength(rows.length);
  });

  it('names its columns as the database does', () => {
    expect(compile({ constructed: true, part: { size: 1 } }).columns).toEqual(['boolean 2', 'partSize']);
  });
});
