-- Announces a delta before COMMIT.
-- KEYS: intents, intentTimes   ARGV: id, deltas (JSON)   Returns: OK
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], clock(), ARGV[1])
return 'OK'
