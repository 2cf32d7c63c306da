import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

// Below the ports that systems hand out to clients (from 32768): while a server is down, a client that reconnects to
// such a port on loopback may be given that very port, connect to itself, and keep the server from coming back.
const LOWEST = 20_000;
const HIGHEST = 32_000;

/** A port on which nothing listens on 127.0.0.1. */
export async function findFreePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(LOWEST, HIGHEST);
    if (await isFree(port)) return port;
  }
  throw new Error(`no free port between ${LOWEST} and ${HIGHEST}`);
}

/** Calls `start` with a free port, again with another one when somebody else was faster. */
export async function startOnFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let triesLeft = 3; ; triesLeft--) {
    try {
      return await start(await findFreePort());
    } catch (error) {
      if (triesLeft === 0 || !String(error).includes('ddress already in use')) throw error;
    }
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
