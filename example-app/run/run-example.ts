import { checkDrift } from '../check/drift';
import { drain } from '../check/drain';
import { AppliedTotals, renderReport } from '../check/report';
import { completeWorld, generateWrites } from '../replay/generator';
import { HttpClient } from '../replay/http-client';
import { readRatings, type TracedRating } from '../replay/ratings-file';
import type { ReplayOptions } from '../replay/replay';
import { Tally } from '../replay/tally';
import { replayTrace } from '../replay/trace';
import { World } from '../replay/world';
import { withClient } from './database';
import { startProgress } from './progress';
import type { Resources } from './resources';
import { type Service, startService } from './service';

/** What the command line says. */
export interface ExampleOptions {
  /** Rows that the generator writes. */
  readonly writes: number;
  /** Clients at once. */
  readonly clients: number;
  readonly seed: number;
  /** A ratings file to replay instead of the generator. */
  readonly trace?: string;
  readonly apis: number;
  readonly port: number;
  /** Keep everything up at the end. */
  readonly serve: boolean;
}

/** What the run needs of the process around it. */
export interface RunContext {
  readonly resources: Resources;
  readonly signal: AbortSignal;
  readonly onFailure: (error: Error) => void;
}

/** How it went. */
export interface Outcome {
  /** Every counter is right. */
  readonly right: boolean;
  readonly service: Service;
  readonly world: World;
}

/** Starts everything, replays the writes, waits until they are applied, and checks. */
export async function runExample(options: ExampleOptions, context: RunContext): Promise<Outcome> {
  const { signal } = context;
  const ratings = options.trace === undefined ? null : await readRatings(options.trace);
  const applied = new AppliedTotals();
  const service = await startService({ ...context, apis: options.apis, port: options.port, applied });
  console.log(`Watch the counters: ${service.urls[0]}/`);

  const tally = new Tally();
  const world = new World();
  await replay(ratings, world, options, { service, tally, signal });
  signal.throwIfAborted();
  await waitUntilApplied(service, signal);
  signal.throwIfAborted();
  const results = await withClient(service.databaseUrl, checkDrift);
  console.log(renderReport(results, tally, applied));
  const wrong = results.filter((result) => result.wrong > 0).length;
  if (wrong > 0) console.error(`${wrong} counters have drifted.`);
  return { right: wrong === 0, service, world };
}

async function replay(
  ratings: readonly TracedRating[] | null,
  world: World,
  options: ExampleOptions,
  { service, tally, signal }: { readonly service: Service; readonly tally: Tally; readonly signal: AbortSignal },
): Promise<void> {
  const progress = startProgress('Rows written');
  const common: ReplayOptions = {
    http: new HttpClient(service.urls, tally),
    tally,
    clients: options.clients,
    signal,
    onProgress: (done, total) => progress.update(done, total),
  };
  const began = performance.now();
  try {
    if (ratings !== null) await replayTrace(ratings, world, common);
    else {
      await completeWorld(world, common);
      await generateWrites(world, { ...common, writes: options.writes, seed: options.seed });
    }
  } finally {
    progress.stop();
  }
  const seconds = (performance.now() - began) / 1_000;
  const rate = `${Math.round(tally.total / seconds)} rows/s`;
  const requests = `${tally.requests} requests by ${options.clients} clients, ${tally.conflicts} of them lost a race`;
  console.log(`${tally.total} rows written in ${seconds.toFixed(1)} s (${rate}; ${requests})`);
}

async function waitUntilApplied({ urls }: Service, signal: AbortSignal): Promise<void> {
  const progress = startProgress('Targets applied');
  const began = performance.now();
  let most = 0;
  try {
    await drain(urls, {
      signal,
      onProgress({ dirty, batches, intents }) {
        most = Math.max(most, dirty + batches + intents);
        progress.update(most - dirty - batches - intents, most);
      },
    });
  } finally {
    progress.stop();
  }
  console.log(`Nothing is pending ${((performance.now() - began) / 1_000).toFixed(1)} s after the last write`);
}

/** Keeps the service up until the signal, with a few writes a second, so that there is something to watch. */
export async function serve(
  { service: { urls }, world }: Outcome,
  { seed }: ExampleOptions,
  signal: AbortSignal,
): Promise<void> {
  console.log(`Serving ${urls[0]}/ until Ctrl-C`);
  const tally = new Tally();
  const common = { http: new HttpClient(urls, tally), tally, clients: 4, signal, onProgress: () => undefined };
  await completeWorld(world, common);
  await generateWrites(world, { ...common, writes: Infinity, seed: seed + 1, pause: 250 });
}
