import type { ShardStatus } from '../../../src/engines/buffered/buffer';
import type { RedisBuffer } from '../../../src/engines/buffered/redis/redis-buffer';

/** What a process says on stdout when it is where it was to die. */
export const REACHED = 'reached';

/** When a process dies: before a call is made, once it is sent, or once it is answered. */
export type When = 'before' | 'sent' | 'after';

/** A Redis function. */
interface BufferCall {
  readonly via: 'redis';
  readonly method: Exclude<keyof RedisBuffer, 'shards'>;
  /** What has to be asked for a call to count. */
  readonly asks?: (args: readonly unknown[]) => boolean;
  /** What has to be in the shard for a call to count before it is made. */
  readonly holds?: (status: ShardStatus) => boolean;
  /** What is answered, without the call, where the shard does not hold it: what came since that look is for the next call. */
  readonly otherwise?: unknown;
  /** What has to be answered for a call to count after it. */
  readonly answers?: (reply: unknown) => boolean;
}

/** A job added to the queue. */
interface WakeUpCall {
  readonly via: 'queue';
}

/** An SQL statement. */
interface Statement {
  readonly via: 'sql';
  readonly sql: RegExp;
  /** A statement that came before it in the same transaction. */
  readonly behind?: RegExp;
  readonly values?: (values: readonly unknown[]) => boolean;
}

/** A step of the protocol, as a call that can be told from others. */
export type Place = BufferCall | WakeUpCall | Statement;
