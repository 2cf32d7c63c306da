-- Puts off due recalculations; a request that is gone stays gone, a later one stays later.
-- KEYS: recalc, kinds   ARGV: delay (ms), window, target, ...   Returns: {now, {}, {recalculate times}}
local K, now, alarms = { recalc = KEYS[1], kinds = KEYS[2] }, clock(), new_alarms()
local at = window_end(now + tonumber(ARGV[1]), tonumber(ARGV[2]))
for i = 3, #ARGV do
  if redis.call('ZADD', K.recalc, 'XX', 'GT', 'CH', at, inner(K, ARGV[i])) == 1 then alarms.recalculate[at] = true end
end
return returned_alarms(now, alarms)
