-- Requests recalculations with a later snapshot.
-- KEYS: recalc, barriers, watches, logs   ARGV: delay (ms), barrier or '', target, ...
-- Returns: {now, {}, {recalculate times}}
local K = { recalc = KEYS[1], barriers = KEYS[2], watches = KEYS[3], logs = KEYS[4] }
local now, alarms = clock(), new_alarms()
for i = 3, #ARGV do request_recalculation(K, ARGV[i], now + tonumber(ARGV[1]), ARGV[2], alarms) end
return returned_alarms(now, alarms)
