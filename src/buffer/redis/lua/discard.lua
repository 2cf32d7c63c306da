-- Forgets announced deltas.
-- KEYS: intents, intentTimes   ARGV: id, ...   Returns: OK
for i = 1, #ARGV do
  redis.call('ZREM', KEYS[2], ARGV[i])
  redis.call('HDEL', KEYS[1], ARGV[i])
end
return 'OK'
