import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';
import { canInstallRedis, installRedis } from './redis-install';

const PROGRAMS = ['redis-server', 'valkey-server'];

const HELP = `No Redis server was found. Do one of these:
  1. set REDIS_URL to a Redis of yours (6.2 or newer, maxmemory-policy noeviction);
  2. put redis-server or valkey-server on the PATH (as root on Debian or Ubuntu, this is done for you);
  3. run "npm install --no-save redis-memory-server", which compiles one.`;

/** Path of a Redis server program; it is installed with the system's package manager if that is allowed. */
export async function locateRedis(): Promise<string> {
  const found = findOnPath();
  if (found !== undefined) return found;
  const failures: unknown[] = [];
  for (const attempt of [installed, compiled]) {
    try {
      const file = await attempt();
      if (file !== undefined) return file;
    } catch (error) {
      failures.push(error);
    }
  }
  throw new Error(HELP, failures.length === 0 ? undefined : { cause: failures[0] });
}

function findOnPath(): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.flatMap((folder) => PROGRAMS.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function installed(): Promise<string | undefined> {
  if (!canInstallRedis()) return undefined;
  await installRedis();
  return findOnPath();
}

async function compiled(): Promise<string | undefined> {
  const require = createRequire(__filename);
  let path: string;
  try {
    path = require.resolve('redis-memory-server/lib/util/RedisBinary');
  } catch {
    return undefined;
  }
  process.stderr.write('services: compiling Redis with redis-memory-server …\n');
  const { default: binary } = require(path) as { default: { getPath(): Promise<string> } };
  return binary.getPath();
}
