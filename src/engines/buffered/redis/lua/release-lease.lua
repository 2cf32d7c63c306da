-- Releases the leases of one token.
-- KEYS: leases, logs, tables   ARGV: token, target, ...   Returns: OK
for i = 2, #ARGV do
  local target = inner(K, ARGV[i])
  if standing_token(K, target, 0) == ARGV[1] then
    redis.call('HDEL', K.leases, target)
    redis.call('HDEL', K.logs, target)
  end
end
return 'OK'
