import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import { startServices } from '../../test/support/services';
import type { AppliedTotals } from '../check/report';
import { connect } from '../connect';
import { environmentOf, type Settings } from '../settings';
import { ServiceProcess } from './child-process';
import { createDatabase, removeKeys } from './database';
import type { Resources } from './resources';

/** The service, running. */
export interface Service {
  readonly databaseUrl: string;
  /** One per API process. */
  readonly urls: readonly string[];
}

/** How to start it. */
export interface ServiceOptions {
  /** API processes. */
  readonly apis: number;
  /** Port of the first of them; 0 takes a free one. */
  readonly port: number;
  readonly applied: AppliedTotals;
  /** Takes everything that has to be stopped. */
  readonly resources: Resources;
  readonly signal: AbortSignal;
  readonly onFailure: (error: Error) => void;
}

/** Starts the servers, a database with its tables, the API processes, and the worker process. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { resources, signal } = options;
  console.log('Starting PostgreSQL and Redis …');
  const servers = await startServices();
  resources.add('PostgreSQL and Redis', () => servers.stop());
  signal.throwIfAborted();

  const name = `counter_cache_example_${randomBytes(6).toString('hex')}`;
  const database = await createDatabase(servers.databaseUrl, name);
  resources.add('the database', () => database.drop());
  resources.add("Redis' keys", () => removeKeys(servers.redisUrl, name));
  const settings: Settings = {
    databaseUrl: database.url,
    redisUrl: servers.redisUrl,
    prefix: name,
    port: options.port,
  };
  await createTables(settings);

  await start('worker', settings, options);
  const urls: string[] = [];
  for (let i = 0; i < options.apis; i++) {
    urls.push(await start('api', { ...settings, port: i === 0 ? options.port : 0 }, options));
  }
  return { databaseUrl: database.url, urls };
}

/** A real service has migrations; `synchronize()` creates the library's tables too, because they joined the entities. */
async function createTables(settings: Settings): Promise<void> {
  const { dataSource, close } = await connect(settings);
  try {
    await dataSource.synchronize();
  } finally {
    await close();
  }
}

async function start(name: 'api' | 'worker', settings: Settings, options: ServiceOptions): Promise<string> {
  options.signal.throwIfAborted();
  const process = new ServiceProcess({
    name,
    file: join(__dirname, `../${name}.js`),
    env: environmentOf(settings),
    onMessage(message) {
      if (message.kind === 'applied') options.applied.add(message);
      if (message.kind === 'drift')
        options.onFailure(new Error(`a recalculation found drift: ${message.found.join(', ')}`));
    },
    onFailure: options.onFailure,
  });
  options.resources.add(`the ${name}`, () => process.stop());
  return process.ready;
}
