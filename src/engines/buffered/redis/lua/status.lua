-- Figures of a shard.
-- KEYS: due, batches, intents, recalc, failed, kinds, barriers
-- Returns: {dirty, oldest due or false, batches, intents, recalculations, {target, reason, ...}, now, repairs}
local K, failed = { kinds = KEYS[6] }, redis.call('HGETALL', KEYS[5])
for i = 1, #failed, 2 do failed[i] = outer(K, failed[i]) end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {
  redis.call('ZCARD', KEYS[1]),
  first[2] and tonumber(first[2]) or false,
  redis.call('HLEN', KEYS[2]),
  redis.call('HLEN', KEYS[3]),
  redis.call('ZCARD', KEYS[4]),
  failed,
  clock(),
  redis.call('HLEN', KEYS[7]),
}
