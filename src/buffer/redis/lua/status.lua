-- Figures of a shard.
-- KEYS: due, batches, intents, recalc, failed
-- Returns: {dirty, oldest due or false, batches, intents, recalculations, {target, reason, ...}, now}
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {
  redis.call('ZCARD', KEYS[1]),
  first[2] and tonumber(first[2]) or false,
  redis.call('HLEN', KEYS[2]),
  redis.call('HLEN', KEYS[3]),
  redis.call('ZCARD', KEYS[4]),
  redis.call('HGETALL', KEYS[5]),
  clock(),
}
