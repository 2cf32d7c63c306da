-- Requests repairs.
-- KEYS: recalc, barriers, leases, logs, tables   ARGV: window, barrier, target, ...
-- Returns: {now, {}, {recalculate times}}
local now, wake_ups = clock(), new_wake_ups()
for i = 3, #ARGV do request_repair(K, inner(K, ARGV[i]), window_start(now, tonumber(ARGV[1])), ARGV[2], wake_ups) end
return returned_wake_ups(now, wake_ups)
