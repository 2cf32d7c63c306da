import { RedisBuffer } from '../../src/buffer/redis/redis-buffer';
import type { KillPoint } from './programs';

type Method = 'claim' | 'acknowledge' | 'confirm' | 'watch' | 'finalize';

const POINTS: Readonly<Record<Exclude<KillPoint, 'none'>, readonly [Method, 'before' | 'after']>> = {
  'after-claim': ['claim', 'after'],
  'before-acknowledge': ['acknowledge', 'before'],
  'before-confirm': ['confirm', 'before'],
  'after-watch': ['watch', 'after'],
  'before-finalize': ['finalize', 'before'],
  'after-finalize': ['finalize', 'after'],
};

/** Makes this process kill itself, as `kill -9` does, around a step of the protocol; `armed` says whether yet. */
export function killAt(point: KillPoint, armed: (result: unknown) => boolean = () => true): void {
  if (point === 'none') return;
  const [method, when] = POINTS[point];
  const prototype = RedisBuffer.prototype as unknown as Record<Method, (...args: unknown[]) => Promise<unknown>>;
  const original = prototype[method];
  prototype[method] = async function (this: RedisBuffer, ...args: unknown[]): Promise<unknown> {
    if (when === 'before' && armed(null)) die();
    const result = await original.apply(this, args);
    if (when === 'after' && armed(result)) die();
    return result;
  };
}

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // SIGKILL cannot be handled, yet it may take effect a moment later: nothing more may run.
  for (;;);
}
