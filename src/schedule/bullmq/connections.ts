import type { RedisOptions } from 'bullmq';

import { ConfigurationError } from '../../errors';

/** Longest time a command of the producer may take, ms. */
export const COMMAND_TIMEOUT = 5_000;

/** Refuses a connection that would silently corrupt BullMQ's keys, and a queue name that BullMQ refuses. */
export function assertUsable(connection: RedisOptions, queueName: string): void {
  const problems: string[] = [];
  if (connection.keyPrefix)
    problems.push("the connection for BullMQ has a 'keyPrefix', which corrupts its keys: use 'queue.prefix' instead");
  if (queueName.includes(':'))
    problems.push(`the queue name '${queueName}' contains ':', which BullMQ refuses: use another character`);
  if (problems.length > 0) throw new ConfigurationError(problems);
}

/** For adding jobs: rejects at once when Redis is down, and never sends a command twice. */
export function producerConnection(connection: RedisOptions, mayInfo = true): RedisOptions {
  return {
    ...connection,
    ...RECONNECTING,
    ...readyCheck(mayInfo),
    commandTimeout: COMMAND_TIMEOUT,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
  };
}

/** For a BullMQ worker, which blocks on its connection and must outlive every outage. */
export function consumerConnection(connection: RedisOptions, mayInfo = true): RedisOptions {
  // A time limit on commands would stop a worker silently, for ever.
  const { commandTimeout: _, ...rest } = connection;
  return {
    ...rest,
    ...RECONNECTING,
    ...readyCheck(mayInfo),
    enableOfflineQueue: true,
    maxRetriesPerRequest: null,
  };
}

/** The check is an INFO, and ioredis writes to the console when it is refused. */
function readyCheck(mayInfo: boolean): RedisOptions {
  return mayInfo ? {} : { enableReadyCheck: false };
}

/** Ours alone: a strategy that gives up would end a worker for good. */
const RECONNECTING = {
  lazyConnect: false,
  retryStrategy: (attempt: number): number => Math.min(100 * attempt, 2_000),
  // After a demotion the server of this connection refuses writes until we reconnect.
  reconnectOnError: (error: Error): boolean => error.message.startsWith('READONLY'),
} as const satisfies RedisOptions;
