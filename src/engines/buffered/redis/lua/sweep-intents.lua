-- Drops stale intents and requests the repair of their targets behind a barrier, in one step: a confirm that
-- comes later finds its intent gone, and asks again.
-- KEYS: intents, intentTimes, recalc, barriers, leases, logs, tables
-- ARGV: window, barrier, id, ...   Returns: {{target, ...}, now, {}, {recalculate times}}
local now, wake_ups, targets = clock(), new_wake_ups(), {}
for i = 3, #ARGV do
  local payload = redis.call('HGET', K.intents, ARGV[i])
  redis.call('HDEL', K.intents, ARGV[i])
  redis.call('ZREM', K.intentTimes, ARGV[i])
  for _, delta in ipairs(payload and cjson.decode(payload) or {}) do
    request_repair(K, inner(K, delta[1]), window_start(now, tonumber(ARGV[1])), ARGV[2], wake_ups)
    table.insert(targets, delta[1])
  end
end
local result = returned_wake_ups(now, wake_ups)
return { targets, result[1], result[2], result[3] }
