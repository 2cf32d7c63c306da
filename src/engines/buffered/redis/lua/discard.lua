-- Forgets announced deltas.
-- KEYS: intents, intentTimes   ARGV: id, ...   Returns: OK
redis.call('HDEL', KEYS[1], unpack(ARGV))
redis.call('ZREM', KEYS[2], unpack(ARGV))
return 'OK'
