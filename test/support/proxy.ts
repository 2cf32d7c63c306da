import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What a proxy loses, once: a request that matches, or the answer to it. Then the connection is cut. */
export interface Interruption {
  readonly when: (request: Buffer) => boolean;
  readonly lose: 'request' | 'answer';
}

/** A TCP proxy in front of a server. */
export interface Proxy {
  readonly port: number;
  /** Interrupts the next request that matches; resolves when it has. */
  interrupt(interruption: Interruption): Promise<void>;
  /** Keeps the answers to the next request that matches, and all that follow on its connection, until `release`. */
  withhold(when: Interruption['when']): { readonly release: () => void };
  /** Drops what comes on the connections there are, in both directions and without a word, as a firewall does that forgot them. New ones work. */
  silence(): void;
  /** Connects to another server from now on, and cuts every connection there is. */
  redirect(port: number): void;
  close(): Promise<void>;
}

/** Starts a proxy on a free port of 127.0.0.1. `rewrite` makes of an answer what the client is told; every answer takes `latency` ms longer. */
export async function startProxy(
  target: { readonly host: string; readonly port: number },
  rewrite: (answer: Buffer) => Buffer = (answer) => answer,
  latency = 0,
): Promise<Proxy> {
  const links = new Set<Socket>();
  let silenced = new AbortController();
  let { port } = target;
  let pending: (Interruption & { readonly done: () => void }) | null = null;
  let withheld: { readonly when: Interruption['when']; readonly released: Promise<void> } | null = null;
  const server = createServer((client) => {
    const upstream = connect(port, target.host);
    const cut = (): void => void [client, upstream].map((socket) => socket.destroy());
    const { signal: forgotten } = silenced;
    let isDeaf = false;
    let released = Promise.resolve();
    for (const socket of [client, upstream]) {
      links.add(socket);
      socket.on('error', cut).on('close', () => {
        links.delete(socket);
        if (!forgotten.aborted) cut();
      });
    }
    client.on('data', (request: Buffer) => {
      if (forgotten.aborted) return;
      const isIt = pending?.when(request) ?? false;
      if (isIt && pending !== null) {
        isDeaf = true;
        if (pending.lose === 'request') cut();
        pending.done();
        pending = null;
      }
      if (withheld?.when(request) === true) {
        ({ released } = withheld);
        withheld = null;
      }
      if (!upstream.destroyed) upstream.write(request);
    });
    upstream.on('data', (answer: Buffer) => {
      if (forgotten.aborted) return;
      if (isDeaf) cut();
      else if (latency === 0) void released.then(() => client.write(rewrite(answer)));
      else setTimeout(() => void released.then(() => client.write(rewrite(answer))), latency);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    interrupt: (interruption) => new Promise((done) => (pending = { ...interruption, done })),
    withhold(when) {
      let release = (): void => undefined;
      withheld = { when, released: new Promise((resolve) => (release = resolve)) };
      return { release };
    },
    silence() {
      silenced.abort();
      silenced = new AbortController();
    },
    redirect(other) {
      port = other;
      for (const socket of links) socket.destroy();
    },
    async close() {
      for (const socket of links) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Starts a proxy in front of a database; `url` is that of the database behind it. */
export async function startDatabaseProxy(
  databaseUrl: string,
  rewrite?: (answer: Buffer) => Buffer,
): Promise<{ readonly proxy: Proxy; readonly url: string }> {
  const url = new URL(databaseUrl);
  const proxy = await startProxy({ host: url.hostname, port: Number(url.port) }, rewrite);
  url.host = `127.0.0.1:${proxy.port}`;
  return { proxy, url: url.href };
}
