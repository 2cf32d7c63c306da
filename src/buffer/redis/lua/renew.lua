-- Extends the watches of one token that still stand; an expired one stays expired, since its log has ended.
-- KEYS: watches   ARGV: token, ttl (ms), target, ...   Returns: OK
local K, now = { watches = KEYS[1] }, clock()
for i = 3, #ARGV do
  if standing_token(K, ARGV[i], now) == ARGV[1] then
    redis.call('HSET', K.watches, ARGV[i], ARGV[1] .. ' ' .. text(now + tonumber(ARGV[2])))
  end
end
return 'OK'
