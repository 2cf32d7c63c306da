-- Makes a delta pending that was not announced (relaxed).
-- KEYS: pending, due, columns, recalc, barriers, watches, logs, failed, kinds
-- ARGV: id, window, deltas (JSON)   Returns: {now, {reconcile times}, {recalculate times}}
local K = { pending = KEYS[1], due = KEYS[2], columns = KEYS[3], recalc = KEYS[4], barriers = KEYS[5], watches = KEYS[6], logs = KEYS[7], failed = KEYS[8], kinds = KEYS[9] }
local now, alarms = clock(), new_alarms()
add_deltas(K, ARGV[1], cjson.decode(ARGV[3]), now, tonumber(ARGV[2]), alarms)
return returned_alarms(now, alarms)
