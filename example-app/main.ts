// `npm run example`: the whole service on this machine, under load, and then checked.
import { Command, InvalidArgumentError } from 'commander';

import { Resources } from './run/resources';
import { type ExampleOptions, runExample } from './run/run-example';

/** Ended by Ctrl-C, or by somebody else's signal. */
class Interrupted extends Error {}

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

async function main(): Promise<number> {
  const options = parseArguments(process.argv);
  const controller = new AbortController();
  const resources = new Resources();
  let exitCode: number | null = null;
  for (const [signal, code] of Object.entries(EXIT_CODES)) {
    // Once: a second Ctrl-C ends this process at once, and the servers and children with it.
    process.once(signal, () => {
      exitCode = code;
      controller.abort(new Interrupted(`ended by ${signal}`));
    });
  }
  const aborted = new Promise<never>((_, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason as Error));
  });
  let served = false;
  const run = runExample(options, {
    resources,
    signal: controller.signal,
    onFailure: (error) => controller.abort(error),
    onServing: () => (served = true),
  });
  try {
    const right = await Promise.race([run, aborted]);
    return right ? 0 : 1;
  } catch (error) {
    if (!(error instanceof Interrupted)) console.error(error);
    return exitCode ?? 1;
  } finally {
    await resources.release();
  }
}
