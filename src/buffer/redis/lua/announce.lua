-- Announces deltas before COMMIT.
-- KEYS: intents, intentTimes   ARGV: id, deltas (JSON), ...   Returns: OK
local now = clock()
for i = 1, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[2], now, ARGV[i])
end
return 'OK'
