import type { Chart } from './chart';
import type { Environment } from './environment';

/** One benchmark: `npm run bench -- <name>`. */
export interface Benchmark<Figures = unknown> {
  readonly name: string;
  /** One sentence: what it measures. */
  readonly describe: string;
  /** PostgreSQL settings beside those of test/support/services; they are stated with the results. */
  readonly postgres?: Readonly<Record<string, string>>;
  /** Seconds that it measures for, unless the command line says another number. */
  readonly seconds: number;
  run(environment: Environment, seconds: number): Promise<Results<Figures>>;
  /** What bench/RESULTS.md shows of the figures, which may have been read from bench/results. */
  summarize(figures: Figures): Summary;
}

/** What a benchmark found. */
export interface Results<Figures = unknown> {
  /** What only the terminal shows, beside the summary. */
  readonly details?: readonly ResultTable[];
  readonly targets?: readonly Target[];
  /** How to read the summary, one paragraph each. */
  readonly notes: readonly string[];
  /** The figures behind the tables, for programs. */
  readonly figures: Figures;
}

/** The figures, for a person. */
export interface Summary {
  readonly table: ResultTable;
  readonly charts?: readonly Chart[];
}

/** A cost that the library has set itself, with what this run found. */
export interface Target {
  readonly what: string;
  /** How much it may be, or has to be. */
  readonly bound: string;
  readonly measured: string;
  readonly isMet: boolean;
}

/** A table for a person; the first column is text, all others are figures. */
export interface ResultTable {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** How to read it. */
  readonly note?: string;
}
