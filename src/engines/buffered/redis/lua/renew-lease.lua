-- Extends the leases of one token that still stand; an expired one stays expired, since its log has ended.
-- KEYS: leases, tables   ARGV: token, ttl (ms), target, ...   Returns: OK
local now = clock()
for i = 3, #ARGV do
  local target = inner(K, ARGV[i])
  if standing_token(K, target, now) == ARGV[1] then
    redis.call('HSET', K.leases, target, ARGV[1] .. ' ' .. text(now + tonumber(ARGV[2])))
  end
end
return 'OK'
