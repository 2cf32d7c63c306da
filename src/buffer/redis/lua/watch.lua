-- Puts a token on targets. Refused while a target stands in an unacknowledged batch, is watched by somebody else, or
-- has a barrier that has not passed (plain: has a barrier).
-- KEYS: claimed, watches, barriers, logs, kinds, batches, unlisted   ARGV: token, ttl (ms), oldest open transaction, plain 0|1, target, ...
-- Returns: {'watching' | 'claimed' | 'watched' | 'barred', ...}
local K = { claimed = KEYS[1], watches = KEYS[2], barriers = KEYS[3], logs = KEYS[4], kinds = KEYS[5], batches = KEYS[6], unlisted = KEYS[7] }
local now, horizon, outcomes = clock(), tonumber(ARGV[3]), {}
list_claims(K)
for i = 5, #ARGV do
  local target = inner(K, ARGV[i])
  local token, barrier = standing_token(K, target, now), redis.call('HGET', K.barriers, target)
  if redis.call('HEXISTS', K.claimed, target) == 1 then
    table.insert(outcomes, 'claimed')
  elseif token and token ~= ARGV[1] then
    table.insert(outcomes, 'watched')
  elseif barrier and (ARGV[4] == '1' or tonumber(barrier) >= horizon) then
    table.insert(outcomes, 'barred')
  else
    redis.call('HSET', K.watches, target, ARGV[1] .. ' ' .. text(now + tonumber(ARGV[2])))
    redis.call('HDEL', K.logs, target)
    table.insert(outcomes, 'watching')
  end
end
return outcomes
