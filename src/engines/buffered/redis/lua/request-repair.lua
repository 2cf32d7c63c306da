-- Requests repairs.
-- KEYS: recalc, barriers, leases, logs, kinds   ARGV: window, barrier, target, ...
-- Returns: {now, {}, {recalculate times}}
local K = { recalc = KEYS[1], barriers = KEYS[2], leases = KEYS[3], logs = KEYS[4], kinds = KEYS[5] }
local now, alarms = clock(), new_alarms()
for i = 3, #ARGV do request_repair(K, inner(K, ARGV[i]), window_start(now, tonumber(ARGV[1])), ARGV[2], alarms) end
return returned_alarms(now, alarms)
