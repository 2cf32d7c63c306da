-- Figures of a shard.
-- KEYS: due, batches, intents, recalc, failed, tables, barriers
-- Returns: {dirty, oldest due or false, batches, intents, recalculations, {target, reason, ...}, now, repairs}
local failed = redis.call('HGETALL', K.failed)
for i = 1, #failed, 2 do failed[i] = outer(K, failed[i]) end
local first = redis.call('ZRANGE', K.due, 0, 0, 'WITHSCORES')
return {
  redis.call('ZCARD', K.due),
  first[2] and tonumber(first[2]) or false,
  redis.call('HLEN', K.batches),
  redis.call('HLEN', K.intents),
  redis.call('ZCARD', K.recalc),
  failed,
  clock(),
  redis.call('HLEN', K.barriers),
}
