import { PostgresQueryRunner } from 'typeorm/driver/postgres/PostgresQueryRunner';

import { RedisBuffer } from '../../src/engines/buffered/redis/redis-buffer';
import type { KillPoint } from './programs';

type Method = 'claim' | 'acknowledge' | 'confirm' | 'acquireLease' | 'finalize';

const POINTS: Readonly<Partial<Record<KillPoint, readonly [Method, 'before' | 'after']>>> = {
  'after-claim': ['claim', 'after'],
  'before-acknowledge': ['acknowledge', 'before'],
  'before-confirm': ['confirm', 'before'],
  'after-lease': ['acquireLease', 'after'],
  'before-finalize': ['finalize', 'before'],
  'after-finalize': ['finalize', 'after'],
};

/** The statements after which to die, once they are answered. */
const STATEMENTS: Readonly<Partial<Record<KillPoint, RegExp>>> = {
  'after-outbox-insert': /INSERT INTO "public"."counter_cache_outbox"/,
  'after-outbox-delete': /^DELETE FROM "public"."counter_cache_outbox" WHERE "id" = ANY/,
  'after-commit': /^COMMIT/,
};

/** Makes this process kill itself, as `kill -9` does, around a step of the protocol; `armed` says whether yet. */
export function killAt(point: KillPoint, armed: (result: unknown) => boolean = () => true): void {
  const statement = STATEMENTS[point];
  if (statement !== undefined) killAfter(statement, armed);
  const step = POINTS[point];
  if (step === undefined) return;
  const [method, when] = step;
  const prototype = RedisBuffer.prototype as unknown as Record<Method, (...args: unknown[]) => Promise<unknown>>;
  const original = prototype[method];
  prototype[method] = async function (this: RedisBuffer, ...args: unknown[]): Promise<unknown> {
    if (when === 'before' && armed(null)) die();
    const result = await original.apply(this, args);
    if (when === 'after' && armed(result)) die();
    return result;
  };
}

function killAfter(statement: RegExp, armed: (result: unknown) => boolean): void {
  const prototype = PostgresQueryRunner.prototype as unknown as Record<
    'query',
    (...args: unknown[]) => Promise<unknown>
  >;
  const { query } = prototype;
  prototype.query = async function (this: PostgresQueryRunner, ...args: unknown[]): Promise<unknown> {
    const result = await query.apply(this, args);
    if (statement.test(String(args[0])) && armed(null)) die();
    return result;
  };
}

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // SIGKILL cannot be handled, yet it may take effect a moment later: nothing more may run.
  for (;;);
}
