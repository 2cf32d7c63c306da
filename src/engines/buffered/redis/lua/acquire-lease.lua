-- Puts a token on targets. Refused while a target stands in an unacknowledged batch, is leased by another recount, or
-- has a barrier that has not passed (plain: has a barrier).
-- KEYS: claimed, leases, barriers, logs, tables, batches, unlisted   ARGV: token, ttl (ms), oldest open transaction, plain 0|1, target, ...
-- Returns: {'acquired' | 'claimed' | 'held' | 'barred', ...}
local token, horizon, is_plain = ARGV[1], tonumber(ARGV[3]), ARGV[4] == '1'
local now, outcomes = clock(), {}
local lease = token .. ' ' .. text(now + tonumber(ARGV[2]))
list_claims(K)
-- Mostly there are none of them: looked up once, and not for every target.
local any = {}
for _, name in ipairs({ 'claimed', 'leases', 'barriers', 'logs' }) do any[name] = redis.call('EXISTS', K[name]) == 1 end

local function refusal(target)
  if any.claimed and redis.call('HEXISTS', K.claimed, target) == 1 then return 'claimed' end
  local standing = any.leases and standing_token(K, target, now)
  if standing and standing ~= token then return 'held' end
  local barrier = any.barriers and redis.call('HGET', K.barriers, target)
  if barrier and (is_plain or tonumber(barrier) >= horizon) then return 'barred' end
end

for i = 5, #ARGV do
  local target = inner(K, ARGV[i])
  local outcome = refusal(target)
  if not outcome then
    redis.call('HSET', K.leases, target, lease)
    if any.logs then redis.call('HDEL', K.logs, target) end
  end
  table.insert(outcomes, outcome or 'acquired')
end
return outcomes
