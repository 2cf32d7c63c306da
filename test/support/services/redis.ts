import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startOnFreePort } from './free-port';
import { locateRedis } from './redis-binary';
import { ServerProcess } from './server-process';
import { type Workspace, createWorkspace } from './workspace';

/** An empty Redis (or Valkey) server of our own. It keeps nothing on disk unless told to. */
export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Process id. Throws when the server does not run. */
  readonly pid: number;
  /** Writes a snapshot to disk: what `restart({ keepData: true })` finds after a `kill()`. */
  save(): Promise<void>;
  /** Ends the server at once; what was not saved is lost. */
  kill(): Promise<void>;
  /** Freezes the server: connections stay open, and nothing is answered. */
  pause(): void;
  /** Ends a pause. */
  resume(): void;
  /**
   * Starts the server again on its port, after killing it if it still runs. With `keepData`, a running server is saved
   * before; one that was killed comes back with what was last saved, so an older past. Without, it is empty.
   */
  restart(options: { readonly keepData: boolean }): Promise<void>;
  /** Ends the server and removes its data. */
  stop(): Promise<void>;
}

/** Options of {@link startRedis}. */
export interface RedisOptions {
  /** Arguments that replace or add to ours: `['--appendonly', 'yes', '--appendfsync', 'always']`. */
  readonly args?: readonly string[];
}

const ARGUMENTS = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'];

/** Starts a Redis of our own on a free port of 127.0.0.1, installing one if there is none. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const file = await locateRedis();
  const workspace = createWorkspace('redis');
  try {
    return await startOnFreePort(async (port) => {
      const args = ['--port', String(port), '--dir', workspace.folder, ...ARGUMENTS, ...(options.args ?? [])];
      const server = new ServerProcess({ name: 'Redis', file, args, probe: () => probe(port) }, workspace);
      await server.start();
      return handle(server, workspace, port);
    });
  } catch (error) {
    await workspace.remove();
    throw error;
  }
}

function handle(server: ServerProcess, workspace: Workspace, port: number): RedisServer {
  const save = (): Promise<void> => withClient(port, async (client) => void (await client.save()));
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    get pid() {
      return server.pid;
    },
    save,
    kill: () => server.end('SIGKILL'),
    pause: () => server.signal('SIGSTOP'),
    resume: () => server.signal('SIGCONT'),
    async restart({ keepData }) {
      if (keepData && server.running) await save();
      await server.end('SIGKILL');
      if (!keepData) removeData(workspace);
      await server.start();
    },
    async stop() {
      await server.end('SIGKILL');
      await workspace.remove();
    },
  };
}

function removeData({ folder }: Workspace): void {
  for (const name of ['dump.rdb', 'appendonlydir']) rmSync(join(folder, name), { recursive: true, force: true });
}

function probe(port: number): Promise<void> {
  // Redis answers PING with an error while it loads its data.
  return withClient(port, async (client) => void (await client.ping()));
}

async function withClient(port: number, use: (client: Redis) => Promise<void>): Promise<void> {
  const client = new Redis(port, '127.0.0.1', {
    lazyConnect: true,
    retryStrategy: null,
    connectTimeout: 5_000,
    enableReadyCheck: false,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    await use(client);
  } finally {
    client.disconnect();
  }
}
