import { Command, InvalidArgumentError } from 'commander';

import type { ExampleOptions } from './run-example';

/** Reads the command line; ends the process with a message where it is wrong. */
export function parseArguments(argv: readonly string[]): ExampleOptions {
  const command = new Command('npm run example --')
    .description(
      'A small service with counter caches: starts it, writes to it with many clients, and checks every counter.',
    )
    .option('--writes <rows>', 'rows that the built-in generator writes', wholeNumber(1, 100_000_000), 20_000)
    .option('--trace <file>', 'replay a ratings file instead (userId,movieId,rating,timestamp; may be .gz)')
    .option('--clients <number>', 'clients that write at the same time', wholeNumber(1, 500), 32)
    .option('--seed <number>', 'seed of the generator', wholeNumber(0, 1_000_000), 1)
    .option('--apis <number>', 'API processes', wholeNumber(1, 16), 2)
    .option(
      '--port <number>',
      'port of the first API process and its page; 0 takes a free one',
      wholeNumber(0, 65_535),
      0,
    )
    .option('--serve', 'keep everything up at the end, with a few writes a second', false)
    .addHelpText(
      'after',
      `
DATABASE_URL and REDIS_URL name servers to use; without them, own ones are started and removed at the end.
On a given PostgreSQL server a database of its own is created, and dropped at the end.
Exits with 0 when every counter is right, and with 1 on any drift or failure.`,
    )
    .allowExcessArguments(false)
    .showHelpAfterError('(--help shows all options)')
    .action((options: ExampleOptions & { readonly writes: number }, self: Command) => {
      if (options.trace !== undefined && self.getOptionValueSource('writes') === 'cli') {
        self.error('error: --writes is for the generator, and --trace replays a whole file; give one of them');
      }
    });
  return command.parse(argv).opts<ExampleOptions>();
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Expected a whole number from ${least} to ${most}.`);
  };
}
