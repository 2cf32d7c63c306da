import type { Socket } from 'node:net';

import { type Guarded, isWaiting, keepAlive } from '../../liveness';

/** A BullMQ queue or worker, of whichever release: they keep their clients in different places. */
interface Connected {
  readonly client?: Promise<Client>;
  readonly blockingConnection?: { readonly client: Promise<Client> };
  getBackend?(): { readonly client?: Promise<Client>; readonly blockingClient?: Promise<Client> | undefined };
}

/** As much of an ioredis client as is looked at. */
interface Client {
  readonly stream?: Socket;
  ping?(): Promise<unknown>;
}

/** A worker's second connection waits for a job in vain for 10 s at the most, ms. */
const BLOCKING_SILENCE = 14_000;

/**
 * Has connections that BullMQ made replaced when they answer nothing.
 *
 * @returns a function that ends it
 */
export function guardConnections(made: object): () => void {
  const ends: (() => void)[] = [];
  let hasEnded = false;
  const guard = (client: Promise<Client> | undefined, silence?: number): void => {
    const begin = (connected: Client): void => {
      if (!hasEnded) ends.push(keepAlive(guarded(connected), silence === undefined ? {} : { silence }));
    };
    // One that is never made rejects; its maker reports that.
    client?.then(begin, () => undefined);
  };
  const { client, blocking } = clientsOf(made);
  guard(client);
  guard(blocking, BLOCKING_SILENCE);
  return () => {
    hasEnded = true;
    for (const end of ends) end();
  };
}

function clientsOf(made: Connected): { client?: Promise<Client> | undefined; blocking?: Promise<Client> | undefined } {
  const backend = made.getBackend?.();
  return {
    client: backend?.client ?? made.client,
    blocking: backend?.blockingClient ?? made.blockingConnection?.client,
  };
}

function guarded(client: Client): Guarded {
  return {
    socket: () => client.stream,
    isWaiting: () => isWaiting(client),
    ping: () => void client.ping?.().catch(() => undefined),
  };
}
