-- Announces deltas before COMMIT.
-- KEYS: intents, intentTimes   ARGV: id, deltas (JSON), ...   Returns: OK
local now, times = clock(), {}
for i = 1, #ARGV, 2 do
  times[i], times[i + 1] = now, ARGV[i]
end
redis.call('HSET', KEYS[1], unpack(ARGV))
redis.call('ZADD', KEYS[2], unpack(times))
return 'OK'
