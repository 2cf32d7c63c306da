-- Targets whose recalculation is due, oldest first.
-- KEYS: recalc, barriers   ARGV: limit   Returns: {target, 1 behind a barrier | 0, ...}
local result = {}
for _, target in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', clock(), 'LIMIT', 0, tonumber(ARGV[1]))) do
  table.insert(result, target)
  table.insert(result, redis.call('HEXISTS', KEYS[2], target))
end
return result
