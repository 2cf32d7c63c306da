import { Redis } from 'ioredis';
import { Client } from 'pg';

import { type Drain, Library } from '../flush/library';
import { type Servers, Stage } from '../flush/stage';

/** How many targets are dirty at a time. */
export interface Size {
  readonly targets: number;
  readonly samples: number;
}

/** What was found at one size. */
export interface Measured {
  readonly targets: number;
  readonly samples: readonly Drain[];
  /** Counters that were wrong in the end. */
  readonly wrong: number;
}

/** Targets claimed and applied at a time: the default. */
const BATCH = 1_000;

/** In a database of its own, with an empty Redis and a new worker process. */
export async function measureSize(servers: Servers, { targets, samples }: Size): Promise<Measured> {
  const own = { ...servers, databaseUrl: await createDatabase(servers.databaseUrl, `growth_${targets}`) };
  const stage = await Stage.open(own, targets);
  const library = await Library.start(own, stage, { targets, batch: BATCH, processes: 1 });
  try {
    const taken: Drain[] = [];
    while (taken.length < samples) taken.push(await library.sample());
    return { targets, samples: taken, wrong: await stage.wrong() };
  } finally {
    await library.close();
    await stage.close();
    await emptyRedis(servers.redisUrl);
  }
}

async function createDatabase(serverUrl: string, name: string): Promise<string> {
  const client = new Client({ connectionString: serverUrl });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

async function emptyRedis(url: string): Promise<void> {
  const redis = new Redis(url);
  await redis.flushall();
  redis.disconnect();
}
