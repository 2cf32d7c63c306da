import { once } from 'node:events';

import { checkDrift } from '../check/drift';
import { drain } from '../check/drain';
import { AppliedTotals, renderReport } from '../check/report';
import { createWorld, generateWrites } from '../replay/generator';
import { HttpClient } from '../replay/http-client';
import { readRatings, type TracedRating } from '../replay/ratings-file';
import type { ReplayOptions } from '../replay/replay';
import { Tally } from '../replay/tally';
import { replayTrace } from '../replay/trace';
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

/** Starts everything, replays the writes, waits, and checks; says whether every counter is right. */
export async function runExample(options: ExampleOptions, context: RunContext): Promise<boolean> {
  const { signal } = context;
  const ratings = options.trace === undefined ? null : await readRatings(options.trace);
  const applied = new AppliedTotals();
  const service = await startService({ ...context, apis: options.apis, port: options.port, applied });
  const page = `${service.urls[0]}/`;
  console.log(`The page with its counters: ${page}`);

  const tally = new Tally();
  await replay(ratings, options, service, tally, signal);
  signal.throwIfAborted();
  await waitUntilApplied(service, signal);
  signal.throwIfAborted();
  const results = await withClient(service.databaseUrl, checkDrift);
  console.log(renderReport(results, tally, applied));
  const wrong = results.filter((result) => result.wrong > 0).length;
  if (wrong > 0) console.error(`${wrong} counters have drifted.`);

  if (options.serve) {
    console.log(`Serving ${page}; ends with Ctrl-C.`);
    await keepWriting(options, service, signal);
  }
  return wrong === 0;
}

async function replay(
  ratings: readonly TracedRating[] | null,
  options: ExampleOptions,
  service: Service,
  tally: Tally,
  signal: AbortSignal,
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
    if (ratings !== null) await replayTrace(ratings, common);
    else await generateWrites(await createWorld(common), { ...common, writes: options.writes, seed: options.seed });
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

/** A few writes a second, so that there is something to watch. */
async function keepWriting(options: ExampleOptions, service: Service, signal: AbortSignal): Promise<void> {
  const tally = new Tally();
  const common = { http: new HttpClient(service.urls, tally), tally, clients: 4, signal, onProgress: () => undefined };
  const world = await createWorld(common);
  await generateWrites(world, { ...common, writes: Infinity, seed: options.seed + 1, pause: 250 });
  if (!signal.aborted) await once(signal, 'abort');
}
