-- Makes deltas pending that were not announced.
-- KEYS: pending, due, columns, recalc, barriers, leases, logs, failed, tables
-- ARGV: window, id, deltas (JSON), ...   Returns: {now, {reconcile times}, {recalculate times}}
local now, wake_ups, groups = clock(), new_wake_ups(), new_groups()
for i = 2, #ARGV, 2 do group(groups, ARGV[i + 1], ARGV[i]) end
add_groups(K, groups, now, tonumber(ARGV[1]), wake_ups)
return returned_wake_ups(now, wake_ups)
