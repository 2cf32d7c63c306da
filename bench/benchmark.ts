import type { Chart } from './chart';
import type { Environment } from './environment';

/** One benchmark: `npm run bench -- <name>`. */
export interface Benchmark {
  readonly name: string;
  /** One sentence: what it measures. */
  readonly describe: string;
  /** PostgreSQL settings beside those of test/support/services; they are stated with the results. */
  readonly postgres?: Readonly<Record<string, string>>;
  /** Seconds that it measures for, unless the command line says another number. */
  readonly seconds: number;
  run(environment: Environment, seconds: number): Promise<Results>;
}

/** What a benchmark found. */
export interface Results {
  readonly tables: readonly ResultTable[];
  readonly charts?: readonly Chart[];
  /** How to read the tables, one paragraph each. */
  readonly notes: readonly string[];
  /** The figures behind the tables, for programs. */
  readonly figures: unknown;
}

/** A table for a person; the first column is text, all others are figures. */
export interface ResultTable {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}
