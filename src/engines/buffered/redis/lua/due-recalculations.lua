-- Targets whose recalculation is due, oldest first.
-- KEYS: recalc, barriers, tables   ARGV: limit   Returns: {target, 1 behind a barrier | 0, ...}
local result = {}
for _, target in ipairs(redis.call('ZRANGEBYSCORE', K.recalc, '-inf', clock(), 'LIMIT', 0, tonumber(ARGV[1]))) do
  table.insert(result, outer(K, target))
  table.insert(result, redis.call('HEXISTS', K.barriers, target))
end
return result
