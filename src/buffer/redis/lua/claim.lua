-- Moves pending deltas into a new batch. Watched targets stay (hold).
-- KEYS: meta, pending, due, columns, watches, batches, claims, claimed
-- ARGV: batch id, limit, 'due' | 'dirty' | 'targets', then kinds (none: all) or targets
-- Returns: {batch JSON or false, 1 if more may be claimable, next due or false, now}
local K = { meta = KEYS[1], pending = KEYS[2], due = KEYS[3], columns = KEYS[4], watches = KEYS[5], batches = KEYS[6], claims = KEYS[7], claimed = KEYS[8] }
local id, limit, scope = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now, entries, taken, more = clock(), {}, 0, 0
local epoch = redis.call('HGET', K.meta, 'epoch')
if not epoch then return { false, 0, false, now } end
local by_kind = field_cache(K)

local function take(target)
  if standing_token(K, target, now) then return end
  local fields, values, columns = pending_of(K, target, by_kind)
  local amounts, touches = {}, {}
  for i, value in ipairs(values) do
    if value then
      redis.call('HDEL', K.pending, fields[i])
      if string.sub(columns[i], 1, 1) == '@' then
        table.insert(touches, string.sub(columns[i], 2))
        table.insert(touches, tonumber(value))
      elseif value ~= '0' then
        table.insert(amounts, columns[i])
        table.insert(amounts, value)
      end
    end
  end
  redis.call('ZREM', K.due, target)
  taken = taken + 1
  if #amounts == 0 and #touches == 0 then return end
  entries[#entries + 1] = { target, amounts, touches }
  redis.call('HINCRBY', K.claimed, target, 1)
end

if scope == 'targets' then
  for i = 4, #ARGV do
    if taken < limit and redis.call('ZSCORE', K.due, ARGV[i]) then take(ARGV[i]) end
  end
else
  local kinds = #ARGV > 3 and {} or nil
  for i = 4, #ARGV do kinds[ARGV[i]] = true end
  local highest = scope == 'due' and now or '+inf'
  local candidates = redis.call('ZRANGEBYSCORE', K.due, '-inf', highest, 'LIMIT', 0, limit)
  local offset = 0
  while #candidates > 0 and taken < limit do
    local left = 0
    for _, target in ipairs(candidates) do
      local before = taken
      if taken >= limit then
        more = 1
      elseif not kinds or kinds[kind_of(target)] then
        take(target)
      end
      if taken == before then left = left + 1 end
    end
    -- What was held back stays in front of the next page.
    offset = offset + left
    if taken < limit then candidates = redis.call('ZRANGEBYSCORE', K.due, '-inf', highest, 'LIMIT', offset, limit) end
  end
end
if taken >= limit then more = 1 end

local first = redis.call('ZRANGE', K.due, 0, 0, 'WITHSCORES')
local following = first[2] and tonumber(first[2]) or false
if #entries == 0 then return { false, more, following, now } end
local batch = cjson.encode({ tonumber(epoch), now, entries })
redis.call('HSET', K.batches, id, batch)
redis.call('ZADD', K.claims, now, id)
redis.call('HINCRBY', K.meta, 'version', 1)
return { batch, more, following, now }
