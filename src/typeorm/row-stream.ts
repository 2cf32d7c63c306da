import type { DataSource } from 'typeorm';

import { Slot } from '../model/slot';
import { wrapOnce } from './wrap-once';

/** Rows of an answer that is still coming, as the driver has parsed them. */
type Row = Record<string, unknown>;

/** `pg`'s query, as far as it is needed. */
interface Query {
  readonly values?: unknown;
  handleDataRow?: (message: unknown) => void;
}

/** `pg`'s client, as far as it is needed. */
interface Client {
  query(...args: unknown[]): unknown;
  readonly connection?: { readonly stream?: { pause(): void; resume(): void } };
}

/** What `pg` keeps to itself: queries that wait, the one under way, and what came of it. Where it is missing, nothing is taken. */
const WAITING = '_queryQueue';
const ACTIVE = '_getActiveQuery';
const RESULT = '_result';

/** Rows that are taken at a time. Smaller answers are left as they are. */
const SLICE = 250;

const WRAPPED = Symbol.for('typeorm-counter-cache.row-stream.wrapped');

const listeners = new Slot<object, (rows: Row[]) => void>();

/**
 * Has the rows of the statement that is sent with this very array of parameters taken while they come, some hundred at a
 * time, with turns of the event loop in between: rows that were taken are no part of the answer. Where the driver is not
 * `pg`, nothing is taken. Once the statement is over, {@link stopStreaming} has to be called.
 */
export function streamRows(parameters: readonly unknown[], listener: (rows: Row[]) => void): void {
  listeners.set(parameters, listener);
}

export function stopStreaming(parameters: readonly unknown[]): void {
  listeners.set(parameters, undefined);
}

/** Lets the clients of a DataSource's pool stream rows, once per process. */
export function wrapRowStream({ driver }: DataSource): void {
  const { master } = driver as { readonly master?: { readonly Client?: { readonly prototype?: Client } } };
  const prototype = master?.Client?.prototype;
  if (prototype === undefined || typeof Reflect.get(prototype, ACTIVE) !== 'function') return;
  wrapOnce(prototype, 'query', WRAPPED, (original) => {
    return function (this: Client, ...args: unknown[]): unknown {
      const answer = original.apply(this, args);
      const values = args[1];
      const listener = Array.isArray(values) ? listeners.get(values) : undefined;
      if (listener !== undefined) intercept(this, values, listener);
      return answer;
    };
  });
}

/** The query was made a moment ago: it is the last that waits, or under way already. */
function intercept(client: Client, values: unknown, listener: (rows: Row[]) => void): void {
  const waiting = Reflect.get(client, WAITING) as readonly Query[] | undefined;
  const active = Reflect.get(client, ACTIVE) as (this: Client) => Query | null;
  const query = [waiting?.at(-1), active.call(client)].find((one) => one?.values === values);
  const handle = query?.handleDataRow?.bind(query);
  if (query === undefined || query === null || handle === undefined) return;
  query.handleDataRow = (message) => {
    handle(message);
    const rows = (Reflect.get(query, RESULT) as { readonly rows?: Row[] } | undefined)?.rows;
    if (rows === undefined || rows.length < SLICE) return;
    listener(rows.splice(0));
    yieldBetween(client);
  };
}

/** What is read of a socket in one turn may be very much. */
function yieldBetween({ connection }: Client): void {
  const stream = connection?.stream;
  if (stream === undefined) return;
  stream.pause();
  setImmediate(() => stream.resume());
}
