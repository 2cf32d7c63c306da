// `npm run example`: the whole service on this machine, under load, and then checked.
import { TraceError } from './replay/ratings-file';
import { parseArguments } from './run/arguments';
import { Resources } from './run/resources';
import { runExample, serve } from './run/run-example';

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

/** Somebody ended the run, with Ctrl-C for example. */
class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: keyof typeof EXIT_CODES) {
    super(`ended by ${signal}`);
    this.exitCode = EXIT_CODES[signal];
  }
}

async function main(): Promise<number> {
  const options = parseArguments(process.argv);
  const resources = new Resources();
  const { signal, abort, aborted } = watchForEnd();
  const run = runExample(options, { resources, signal, onFailure: abort });
  let exitCode: number | null = null;
  try {
    const outcome = await Promise.race([run, aborted]);
    exitCode = outcome.right ? 0 : 1;
    if (options.serve) await Promise.race([serve(outcome, options, signal), aborted]);
    return exitCode;
  } catch (error) {
    if (error instanceof Interrupted) return exitCode ?? error.exitCode;
    console.error(error instanceof TraceError ? error.message : (error as Error).stack);
    return 1;
  } finally {
    await resources.release();
    // What was still starting when the signal came is there only now.
    await run.catch(() => undefined);
    await resources.release();
  }
}

function watchForEnd(): { signal: AbortSignal; abort: (reason: Error) => void; aborted: Promise<never> } {
  const controller = new AbortController();
  const abort = (reason: Error): void => controller.abort(reason);
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    // Once: a second Ctrl-C ends this process at once. Its children and servers notice, and end too.
    process.once(name, () => {
      console.error(`\n${name}: stopping …`);
      abort(new Interrupted(name));
    });
  }
  const aborted = new Promise<never>((_resolve, reject) => {
    controller.signal.addEventListener('abort', () => reject(controller.signal.reason as Error));
  });
  // Nobody may be waiting for it yet, or any more.
  aborted.catch(() => undefined);
  return { signal: controller.signal, abort, aborted };
}

// Until we know better; a promise that nobody settles must not look like success.
process.exitCode = 1;
main().then(
  (exitCode) => (process.exitCode = exitCode),
  (error: unknown) => console.error(error),
);
