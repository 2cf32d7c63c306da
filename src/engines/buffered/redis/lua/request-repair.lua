-- Requests repairs.
-- KEYS: recalc, barriers, leases, logs, kinds   ARGV: window, barrier, target, ...
-- Returns: {now, {}, {recalculate times}}
local K = { recalc = KEYS[1], barriers = KEYS[2], leases = KEYS[3], logs = KEYS[4], kinds = KEYS[5] }
local now, wake_ups = clock(), new_wake_ups()
for i = 3, #ARGV do request_repair(K, inner(K, ARGV[i]), window_start(now, tonumber(ARGV[1])), ARGV[2], wake_ups) end
return returned_wake_ups(now, wake_ups)
