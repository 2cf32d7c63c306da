-- Ids of intents announced longer ago than a time-out.
-- KEYS: intentTimes   ARGV: older than (ms), limit   Returns: {id, ...}
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', clock() - tonumber(ARGV[1]), 'LIMIT', 0, tonumber(ARGV[2]))
