-- Requests recalculations with a later snapshot.
-- KEYS: recalc, barriers, leases, logs, kinds   ARGV: delay (ms), window, barrier or '', target, ...
-- Returns: {now, {}, {recalculate times}}
local K = { recalc = KEYS[1], barriers = KEYS[2], leases = KEYS[3], logs = KEYS[4], kinds = KEYS[5] }
local now, alarms = clock(), new_alarms()
local delay, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local at = delay > 0 and window_end(now + delay, window) or window_start(now, window)
for i = 4, #ARGV do request_recalculation(K, inner(K, ARGV[i]), at, ARGV[3], alarms) end
return returned_alarms(now, alarms)
