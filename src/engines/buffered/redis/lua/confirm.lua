-- Makes announced deltas pending. Naming the transaction makes it idempotent: a second confirm finds nothing.
-- KEYS: intents, intentTimes, pending, due, columns, recalc, barriers, leases, logs, failed, tables
-- ARGV: window, id, ...   Returns: {{1 found | 0 gone, ...}, now, {reconcile times}, {recalculate times}}
local window, now, wake_ups = tonumber(ARGV[1]), clock(), new_wake_ups()
local ids = { unpack(ARGV, 2) }
local payloads, found, taken, groups = redis.call('HMGET', K.intents, unpack(ids)), {}, {}, new_groups()
for i, id in ipairs(ids) do
  local payload = not taken[id] and payloads[i]
  taken[id], found[i] = true, payload and 1 or 0
  if payload then group(groups, payload, id) end
end
redis.call('HDEL', K.intents, unpack(ids))
redis.call('ZREM', K.intentTimes, unpack(ids))
add_groups(K, groups, now, window, wake_ups)
local result = returned_wake_ups(now, wake_ups)
return { found, result[1], result[2], result[3] }
