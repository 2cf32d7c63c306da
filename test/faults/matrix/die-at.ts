import { writeSync } from 'node:fs';
import { Client } from 'pg';

import { RedisBuffer } from '../../../src/engines/buffered/redis/redis-buffer';
import { BullMqScheduler } from '../../../src/schedule/bullmq/bullmq-scheduler';
import { type Place, REACHED, type When } from './place';

/** Time for a signal to take effect, ms. */
const LIMBO = 100;

type Method = (this: object, ...args: unknown[]) => Promise<unknown>;

/** `SIGKILL`: as `kill -9` does. `SIGSTOP`: it sleeps until somebody sends SIGCONT, and then goes on. */
export type Fate = 'SIGKILL' | 'SIGSTOP';

/** Makes this process kill itself, or fall asleep, once, around a step; `isArmed` says whether yet. */
export function dieAt(place: Place, when: When, fate: Fate, isArmed: () => boolean): void {
  const meetFate = once(() => stop(fate));
  switch (place.via) {
    case 'redis': {
      const { method, asks, holds, otherwise, answers } = place;
      const isIt = (args: readonly unknown[]): boolean => isArmed() && (asks?.(args) ?? true);
      intercept(RedisBuffer.prototype, method, when, meetFate, {
        before: async (buffer, args) =>
          isIt(args) && (holds === undefined || holds(await (buffer as RedisBuffer).status(Number(args[0])))),
        after: (reply, args) => isIt(args) && (answers?.(reply) ?? true),
        otherwise,
      });
      break;
    }
    case 'queue':
      intercept(BullMqScheduler.prototype, 'schedule', when, meetFate, {
        before: (_scheduler, [wakeUps]) => isArmed() && (wakeUps as readonly unknown[]).length > 0,
        after: (_reply, [wakeUps]) => isArmed() && (wakeUps as readonly unknown[]).length > 0,
      });
      break;
    case 'sql':
      interceptStatement(place, when, meetFate, isArmed);
  }
}

interface Conditions {
  readonly before: (self: object, args: readonly unknown[]) => boolean | Promise<boolean>;
  readonly after: (reply: unknown, args: readonly unknown[]) => boolean;
  /** Answered in place of a call before which it is not to stop; `undefined`: the call is made. */
  readonly otherwise?: unknown;
}

function intercept(
  prototype: object,
  method: string,
  when: When,
  meetFate: () => void,
  { before, after, otherwise }: Conditions,
): void {
  const methods = prototype as Record<string, Method>;
  const original = methods[method];
  if (original === undefined) throw new Error(`there is no method ${method}`);
  methods[method] = async function intercepted(...args) {
    if (when === 'before') {
      if (await before(this, args)) meetFate();
      else if (otherwise !== undefined) return otherwise;
    }
    const reply = await original.apply(this, args);
    if (when === 'after' && after(reply, args)) meetFate();
    return reply;
  };
}

/** At the driver, so that a statement can be known to be sent. */
function interceptStatement(
  { sql, behind, values }: Place & { via: 'sql' },
  when: When,
  meetFate: () => void,
  isArmed: () => boolean,
): void {
  const client = Client.prototype as unknown as { query: (this: object, ...args: unknown[]) => unknown };
  const { query } = client;
  const earlier = new WeakMap<object, string[]>();
  client.query = function intercepted(...args) {
    // A text, or an object with one for a prepared statement.
    const [first] = args as readonly (string | { readonly text?: string })[];
    const text = typeof first === 'string' ? first : (first?.text ?? '');
    const transaction = /^(?:BEGIN|START)/.test(text) ? [] : (earlier.get(this) ?? []);
    const isIt =
      isArmed() &&
      sql.test(text) &&
      (behind === undefined || transaction.some((statement) => behind.test(statement))) &&
      (values === undefined || values(args[1] as readonly unknown[]));
    earlier.set(this, [...transaction, text]);
    if (isIt && when === 'before') meetFate();
    const reply = query.apply(this, args);
    if (isIt && when === 'sent') meetFate();
    return isIt && when === 'after' ? (reply as Promise<unknown>).finally(meetFate) : reply;
  };
}

function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) act();
    isDone = true;
  };
}

function stop(fate: Fate): void {
  writeSync(1, REACHED);
  process.kill(process.pid, fate);
  // The signal may take effect a moment later: nothing more may run until it has.
  const end = performance.now() + (fate === 'SIGKILL' ? Infinity : LIMBO);
  while (performance.now() < end);
}
