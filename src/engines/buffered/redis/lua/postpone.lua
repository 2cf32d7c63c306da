-- Puts off due recalculations; a request that is gone stays gone, a later one stays later. With a token, only where its lease
-- stands: a request that came since has ended it.
-- KEYS: recalc, leases, tables   ARGV: delay (ms), window, token or '', target, ...   Returns: {now, {}, {recalculate times}}
local now, wake_ups = clock(), new_wake_ups()
local at = window_end(now + tonumber(ARGV[1]), tonumber(ARGV[2]))
for i = 4, #ARGV do
  local target = inner(K, ARGV[i])
  local may = ARGV[3] == '' or standing_token(K, target, now) == ARGV[3]
  if may and redis.call('ZADD', K.recalc, 'XX', 'GT', 'CH', at, target) == 1 then wake_ups.recalculate[at] = true end
end
return returned_wake_ups(now, wake_ups)
