-- Makes an announced delta pending. Naming the transaction makes it idempotent: a second confirm finds nothing.
-- KEYS: intents, intentTimes, pending, due, columns, recalc, barriers, watches, logs, failed, kinds
-- ARGV: id, window   Returns: {1 found | 0 gone, now, {reconcile times}, {recalculate times}}
local K = { intents = KEYS[1], intentTimes = KEYS[2], pending = KEYS[3], due = KEYS[4], columns = KEYS[5], recalc = KEYS[6], barriers = KEYS[7], watches = KEYS[8], logs = KEYS[9], failed = KEYS[10], kinds = KEYS[11] }
local now = clock()
local payload = redis.call('HGET', K.intents, ARGV[1])
if not payload then return { 0, now, {}, {} } end
redis.call('HDEL', K.intents, ARGV[1])
redis.call('ZREM', K.intentTimes, ARGV[1])
local alarms = new_alarms()
add_deltas(K, ARGV[1], cjson.decode(payload), now, tonumber(ARGV[2]), alarms)
local result = returned_alarms(now, alarms)
return { 1, result[1], result[2], result[3] }
