-- Ends the watches of one token.
-- KEYS: watches, logs   ARGV: token, target, ...   Returns: OK
local K = { watches = KEYS[1], logs = KEYS[2] }
for i = 2, #ARGV do
  if standing_token(K, ARGV[i], 0) == ARGV[1] then
    redis.call('HDEL', K.watches, ARGV[i])
    redis.call('HDEL', K.logs, ARGV[i])
  end
end
return 'OK'
