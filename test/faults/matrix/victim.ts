import { once } from 'node:events';
import { join } from 'node:path';

import type { CountersOptions } from 'typeorm-counter-cache';

import { type Child, startChild } from '../../support/child';
import { until } from '../../support/until';
import type { Fate } from './die-at';
import { REACHED, type When } from './place';

/** What a victim does until it dies: writes, runs a worker, or only attaches, which looks for lost shards. */
export type Role = 'writer' | 'worker' | 'attached';

/** What a victim is told. */
export interface VictimOrders {
  readonly databaseUrl: string;
  readonly counters: Partial<CountersOptions>;
  readonly role: Role;
  /** Index of the point in the table; `left` is its `left` instead. */
  readonly point: number;
  readonly left: boolean;
  readonly when: When;
  readonly fate: Fate;
}

/** How long a victim may take to where it dies, ms. */
const PATIENCE = 30_000;

/** How often it is looked at, ms. */
const INTERVAL = 20;

/** Name of its connections to the database. */
export const VICTIM = 'victim';

/** Runs a process until it has killed itself where it was told to, or has fallen asleep there. */
export async function runVictim(orders: VictimOrders): Promise<Child> {
  const child = startChild(join(__dirname, 'victim-program.ts'), { ORDERS: JSON.stringify(orders) });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const isThere = (): boolean => said === REACHED && (orders.fate === 'SIGSTOP' || child.signalCode === 'SIGKILL');
  await until(() => isThere() || child.exitCode !== null, PATIENCE, INTERVAL).catch(() => undefined);
  if (isThere()) return child;
  child.kill('SIGKILL');
  throw new Error(`the point was never reached; exit code ${child.exitCode ?? 'none'}, said: ${said}`);
}

/** Wakes a process that fell asleep, and has it finish. */
export async function wakeVictim(child: Child): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGCONT');
  child.send('finish');
  expect(await gone).toEqual([0, null]);
}
