-- Makes parked targets due again.
-- KEYS: due, failed, tables   ARGV: window, target, ... (none: all)   Returns: {now, {reconcile times}, {}, count}
local now, wake_ups, count, targets = clock(), new_wake_ups(), 0, {}
for i = 2, #ARGV do targets[#targets + 1] = inner(K, ARGV[i]) end
if #targets == 0 then targets = redis.call('HKEYS', K.failed) end
for _, target in ipairs(targets) do
  if redis.call('HDEL', K.failed, target) == 1 then
    make_due(K, target, window_start(now, tonumber(ARGV[1])), wake_ups)
    count = count + 1
  end
end
local result = returned_wake_ups(now, wake_ups)
return { result[1], result[2], result[3], count }
