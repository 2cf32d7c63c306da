import type { Socket } from 'node:net';

import type { DataSource } from 'typeorm';

import { wrapOnce } from './wrap-once';

/** How the driver is to send a statement, where TypeORM cannot tell it. */
export interface Manner {
  /** Every connection prepares it under this name, once. */
  readonly name?: string;
  /** Called when it is on its way, if the driver can send others before it is answered. */
  readonly onSent?: () => void;
  /** Told what it failed with. */
  readonly onError?: (error: unknown) => void;
}

/** Where the parameters of a statement keep how it is sent: a symbol that two copies of this package share. */
const MANNER = Symbol.for('typeorm-counter-cache.manner');
const WRAPPED = Symbol.for('typeorm-counter-cache.manner.wrapped');

type Marked = unknown[] & { [MANNER]?: Manner | undefined };

/** Has the statement that is sent with this very array of parameters sent in this manner, or as usual; returns the array. */
export function sendAs(parameters: Marked, manner: Manner | undefined): unknown[] {
  parameters[MANNER] = manner;
  return parameters;
}

/** `pg`'s client, as far as it is needed. */
interface Client {
  /** Statements are sent before those ahead of them are answered; absent where this release of `pg` cannot do that. */
  pipeline?: boolean;
  readonly connection: { readonly stream: Pick<Socket, 'cork' | 'uncork'> };
  query: Query;
}

type Query = (this: Client, ...args: unknown[]) => unknown;

/** Lets the clients of a DataSource's pool send statements in a {@link Manner}, once per process. */
export function wrapClients({ driver }: DataSource): void {
  const { master } = driver as { readonly master?: { readonly Client?: { readonly prototype: Client } } };
  const prototype = master?.Client?.prototype;
  if (prototype === undefined) return;
  wrapOnce(prototype, 'query', WRAPPED, (original) => {
    return function (this: Client, ...args: unknown[]): unknown {
      const [text, values] = args;
      const manner = (values as Marked | null | undefined)?.[MANNER];
      // As TypeORM calls it: with a text and without a callback.
      if (manner === undefined || typeof text !== 'string' || args.length > 2) return original.apply(this, args);
      return send(this, manner, () => original.call(this, { text, name: manner.name }, values) as Promise<unknown>);
    };
  });
}

async function send(client: Client, { onSent, onError }: Manner, query: () => Promise<unknown>): Promise<unknown> {
  const pipelines = onSent !== undefined && client.pipeline === false;
  if (pipelines) {
    client.pipeline = true;
    writeTogether(client);
  }
  try {
    const answer = query();
    if (pipelines) onSent();
    return await answer;
  } catch (error) {
    onError?.(error);
    throw error;
  } finally {
    if (pipelines) client.pipeline = false;
  }
}

/** What is sent within this turn of the event loop goes to the socket by one write. */
function writeTogether({ connection: { stream } }: Client): void {
  stream.cork();
  setImmediate(() => stream.uncork());
}
