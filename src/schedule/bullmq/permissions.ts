/** Commands that BullMQ runs on the keys of a queue to add jobs. A test compares them with its scripts. */
export const PRODUCER_COMMANDS: readonly string[] = `
  DEL EXISTS GET HEXISTS HGET HMGET HMSET HSET INCR LLEN LPOS LPUSH LRANGE PERSIST PTTL SADD SCARD SET XADD ZADD ZRANGE
  ZREM ZREVRANGEBYSCORE ZSCORE`
  .trim()
  .split(/\s+/);

/** Commands that BullMQ runs beside those, to take jobs. */
export const CONSUMER_COMMANDS: readonly string[] = `
  BZPOPMIN EXEC HDEL HGETALL HINCRBY LREM LTRIM MULTI PEXPIRE RPOPLPUSH SMEMBERS SREM XTRIM ZCARD ZPOPMIN ZRANGEBYSCORE
  ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE`
  .trim()
  .split(/\s+/);
