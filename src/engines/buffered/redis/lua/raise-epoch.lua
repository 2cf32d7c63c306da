-- Raises the shard's epoch; a lower or equal one is ignored.
-- KEYS: meta   ARGV: epoch   Returns: the epoch that holds now
local standing = redis.call('HGET', KEYS[1], 'epoch')
if standing and tonumber(standing) >= tonumber(ARGV[1]) then return tonumber(standing) end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
return tonumber(ARGV[1])
