// `npm run bench`: every benchmark, or those that are named, each on servers of its own.
import 'reflect-metadata';

import { relative } from 'node:path';
import { Argument, Command, InvalidArgumentError } from 'commander';

import type { Benchmark } from './benchmark';
import { BENCHMARKS } from './benchmarks';
import { ROOT, startEnvironment } from './environment';
import { renderText, writeReport } from './report';
import { type Written, writeJson } from './written';

interface Options {
  readonly seconds?: number;
  readonly write: boolean;
  readonly render?: boolean;
}

async function run(names: readonly string[], options: Options): Promise<void> {
  if (options.render === true) {
    report(writeReport(BENCHMARKS));
    return;
  }
  const chosen = BENCHMARKS.filter(({ name }) => names.length === 0 || names.includes(name));
  for (const [i, benchmark] of chosen.entries()) {
    console.log(`${i === 0 ? '' : '\n'}[${i + 1}/${chosen.length}] ${benchmark.name}`);
    await runOne(benchmark, options);
  }
}

async function runOne(benchmark: Benchmark, { seconds, write: toFiles }: Options): Promise<void> {
  console.log(`${benchmark.describe}\n`);
  const environment = await startEnvironment(benchmark.postgres ?? {});
  try {
    const results = await benchmark.run(environment, seconds ?? benchmark.seconds);
    const { details = [], targets = [], notes, figures } = results;
    const written: Written = { name: benchmark.name, facts: environment.facts, targets, notes, figures };
    const { table } = benchmark.summarize(figures);
    console.log(`\n${renderText(written, [...details, table])}\n`);
    if (toFiles) report([writeJson(written), ...writeReport(BENCHMARKS)]);
  } finally {
    await environment.stop();
  }
}

function report(files: readonly string[]): void {
  for (const file of files) console.log(`Written: ${relative(ROOT, file)}`);
}

function positive(text: string): number {
  const number = Number(text);
  if (number > 0 && number < Infinity) return number;
  throw new InvalidArgumentError('Expected a positive number.');
}

const command = new Command('npm run bench --')
  .description('Runs benchmarks, each on a PostgreSQL and a Redis of its own, and writes bench/RESULTS.md.')
  .addArgument(
    new Argument('[names...]', 'which benchmarks (default: all)').choices(BENCHMARKS.map(({ name }) => name)),
  )
  .option('--seconds <number>', 'how long each measures (default: as long as it needs)', positive)
  .option('--no-write', 'only print the results')
  .option('--render', 'only write bench/RESULTS.md again, from bench/results')
  .addHelpText('after', `\n${BENCHMARKS.map(({ name, describe }) => `${name}: ${describe}`).join('\n')}`)
  .allowExcessArguments(false)
  .showHelpAfterError('(--help shows all benchmarks)')
  .action(run);

command.parseAsync().catch((error: unknown) => {
  console.error(error);
  // Connections that a failed run left open would keep the process.
  process.exit(1);
});
