-- Makes deltas pending that were not announced (relaxed).
-- KEYS: pending, due, columns, recalc, barriers, watches, logs, failed, kinds
-- ARGV: window, id, deltas (JSON), ...   Returns: {now, {reconcile times}, {recalculate times}}
local K = { pending = KEYS[1], due = KEYS[2], columns = KEYS[3], recalc = KEYS[4], barriers = KEYS[5], watches = KEYS[6], logs = KEYS[7], failed = KEYS[8], kinds = KEYS[9] }
local now, alarms = clock(), new_alarms()
for i = 2, #ARGV, 2 do add_deltas(K, ARGV[i], cjson.decode(ARGV[i + 1]), now, tonumber(ARGV[1]), alarms) end
return returned_alarms(now, alarms)
