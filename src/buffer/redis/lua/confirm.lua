-- Makes announced deltas pending. Naming the transaction makes it idempotent: a second confirm finds nothing.
-- KEYS: intents, intentTimes, pending, due, columns, recalc, barriers, watches, logs, failed, kinds
-- ARGV: window, id, ...   Returns: {{1 found | 0 gone, ...}, now, {reconcile times}, {recalculate times}}
local K = { intents = KEYS[1], intentTimes = KEYS[2], pending = KEYS[3], due = KEYS[4], columns = KEYS[5], recalc = KEYS[6], barriers = KEYS[7], watches = KEYS[8], logs = KEYS[9], failed = KEYS[10], kinds = KEYS[11] }
local now, alarms, found = clock(), new_alarms(), {}
for i = 2, #ARGV do
  local payload = redis.call('HGET', K.intents, ARGV[i])
  found[i - 1] = payload and 1 or 0
  if payload then
    redis.call('HDEL', K.intents, ARGV[i])
    redis.call('ZREM', K.intentTimes, ARGV[i])
    add_deltas(K, ARGV[i], cjson.decode(payload), now, tonumber(ARGV[1]), alarms)
  end
end
local result = returned_alarms(now, alarms)
return { found, result[1], result[2], result[3] }
