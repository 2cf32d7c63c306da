import 'reflect-metadata';

import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';

import type { Row } from '../../../src/model/definition';
import { compileWhere, type Where } from '../../../src/model/where/where';
import { createDatabase } from '../../support/database';

export class Part {
  @Column({ type: 'int', nullable: true }) size!: number | null;
  @Column({ type: 'text', nullable: true }) label!: string | null;
}

/** A column of every type that a `where` compares, and some that it does not. */
@Entity()
export class Thing {
  @PrimaryColumn() id!: number;
  @Column({ type: 'smallint', nullable: true }) smallint!: number | null;
  @Column({ type: 'int', nullable: true }) int!: number | null;
  @Column({ type: 'bigint', nullable: true }) bigint!: string | null;
  @Column({ type: 'numeric', nullable: true }) numeric!: string | null;
  @Column({ type: 'real', nullable: true }) real!: number | null;
  @Column({ type: 'float8', nullable: true }) double!: number | null;
  @Column({ type: 'boolean', nullable: true }) boolean!: boolean | null;
  @Column({ type: Boolean, nullable: true, name: 'boolean 2' }) constructed!: boolean | null;
  @Column({ type: 'timestamptz', nullable: true }) timestamptz!: Date | null;
  @Column({ type: 'timestamptz', precision: 3, nullable: true }) precise!: Date | null;
  @Column({ type: 'timestamp', nullable: true }) timestamp!: Date | null;
  @Column({ type: 'date', nullable: true }) date!: string | null;
  @Column({ type: 'text', nullable: true }) text!: string | null;
  @Column({ type: 'varchar', nullable: true, collation: 'caseless' }) collated!: string | null;
  @Column({ type: 'char', length: 5, nullable: true }) char!: string | null;
  @Column({ type: 'char', length: 5, nullable: true, collation: 'caseless' }) collatedChar!: string | null;
  @Column({ type: 'enum', enum: ['red', 'green', '50%'], nullable: true }) enum!: string | null;
  @Column({ type: 'uuid', nullable: true }) uuid!: string | null;
  @Column({ type: 'jsonb', nullable: true }) json!: unknown;
  @Column({ type: 'smallint', array: true, nullable: true }) smallints!: number[] | null;
  @Column({ type: 'int', array: true, nullable: true }) ints!: number[] | null;
  @Column({ type: 'bigint', array: true, nullable: true }) bigints!: string[] | null;
  @Column({ type: 'real', array: true, nullable: true }) reals!: number[] | null;
  @Column({ type: 'float8', array: true, nullable: true }) doubles!: number[] | null;
  @Column({ type: 'boolean', array: true, nullable: true }) booleans!: boolean[] | null;
  @Column({ type: 'text', array: true, nullable: true }) texts!: string[] | null;
  @Column({ type: 'varchar', array: true, nullable: true, collation: 'caseless' }) collateds!: string[] | null;
  @Column({ type: 'char', length: 5, array: true, nullable: true }) chars!: string[] | null;
  @Column({ type: 'uuid', array: true, nullable: true }) uuids!: string[] | null;
  @Column({ type: 'numeric', array: true, nullable: true }) numerics!: string[] | null;
  @Column({ type: 'enum', enum: ['red', 'green'], array: true, nullable: true }) enums!: string[] | null;
  @Column({
    type: 'int',
    nullable: true,
    transformer: { to: (cents: number) => cents * 100, from: (raw: number) => raw / 100 },
  })
  scaled!: number | null;
  @Column(() => Part) part!: Part;
}

/** A table of things, and a `where` on it in JS and in SQL. */
export interface Things {
  /** As the driver gives them, by id. */
  readonly rows: () => readonly Row[];
  /** Adds a row of values as SQL text, by column name. */
  readonly add: (values: Readonly<Record<string, string | null>>) => Promise<void>;
  /** @throws Error with the problems of a `where` that is refused */
  readonly compile: (where: unknown) => Where;
  /** What SQL says about each row, by id. */
  readonly truths: (where: Where) => Promise<readonly (boolean | null)[]>;
  readonly close: () => Promise<void>;
}

/** An empty table of things in a database of its own. */
export async function openThings(): Promise<Things> {
  const database = await createDatabase();
  const dataSource = await new DataSource({ type: 'postgres', url: database.url, entities: [Thing] }).initialize();
  await dataSource.query(
    "CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
  );
  await dataSource.synchronize();
  const { driver } = dataSource;
  const metadata = dataSource.getMetadata(Thing);
  const rows: Row[] = [];
  return {
    rows: () => rows,
    async add(values) {
      const names = ['id', ...Object.keys(values)].map((name) => driver.escape(name));
      const placeholders = names.map((_, index) => `$${index + 1}`);
      const [row]: Row[] = await dataSource.query(
        `INSERT INTO thing (${names.join(', ')}) VALUES (${placeholders.join(', ')}) RETURNING *`,
        [rows.length, ...Object.values(values)],
      );
      if (row !== undefined) rows.push(row);
    },
    compile(where) {
      const problems: string[] = [];
      const compiled = compileWhere(where, { metadata, driver, problem: (message) => problems.push(message) });
      if (compiled === null) throw new Error(problems.join('\n'));
      return compiled;
    },
    async truths(where) {
      const parameters: unknown[] = [];
      const sql = where.toSql('t', (value) => `$${parameters.push(value)}`, driver.escape.bind(driver));
      const found: { truth: boolean | null }[] = await dataSource.query(
        `SELECT ${sql} AS truth FROM thing t ORDER BY id`,
        parameters,
      );
      return found.map(({ truth }) => truth);
    },
    async close() {
      await dataSource.destroy();
      await database.drop();
    },
  };
}
