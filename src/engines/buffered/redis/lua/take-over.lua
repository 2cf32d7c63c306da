-- Batches that no process has held for a time-out; held again, so that one sweep at a time does. Their claimedAt stays.
-- KEYS: batches, claims   ARGV: older than (ms), limit   Returns: {id, batch JSON, id, batch JSON, ...}
local now, result = clock(), {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[1]), 'LIMIT', 0, tonumber(ARGV[2]))) do
  local batch = redis.call('HGET', KEYS[1], id)
  if batch then
    redis.call('ZADD', KEYS[2], now, id)
    table.insert(result, id)
    table.insert(result, batch)
  else
    redis.call('ZREM', KEYS[2], id)
  end
end
return result
