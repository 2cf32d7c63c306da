/** URL of the Redis of this run. It is shared by all test files: delete no keys but your own, and never flush it. */
export function redisUrl(): string {
  const url = process.env['REDIS_URL'];
  if (url === undefined)
    throw new Error('REDIS_URL is not set: tests run through "npm test", which starts the servers');
  return url;
}
