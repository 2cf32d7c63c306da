-- Moves pending deltas into a new batch. Watched targets stay (hold).
-- KEYS: meta, pending, due, columns, watches, batches, claims, unlisted, kinds
-- ARGV: batch id, limit, 'due' | 'dirty' | 'targets', then kinds (none: all) or targets
-- Returns: {batch JSON or false, 1 if more may be claimable, next due or false, now}
local K = { meta = KEYS[1], pending = KEYS[2], due = KEYS[3], columns = KEYS[4], watches = KEYS[5], batches = KEYS[6], claims = KEYS[7], unlisted = KEYS[8], kinds = KEYS[9] }
local id, limit, scope = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now, entries, taken, more = clock(), {}, 0, 0
local epoch = redis.call('HGET', K.meta, 'epoch')
if not epoch then return { false, 0, false, now } end
local any_watch = redis.call('EXISTS', K.watches) == 1
local columns_of = columns_by_kind(K)
local codes = scope == 'dirty' and #ARGV > 3 and {} or nil
if codes then
  for i = 4, #ARGV do codes[redis.call('HGET', K.kinds, ARGV[i]) or 'none'] = true end
end

local function is_claimable(target)
  return (not codes or codes[code_of(target)]) and not (any_watch and standing_token(K, target, now))
end

-- Adds what each of the targets has pending to the entries of the batch; returns the fields that hold it.
local function collect(targets)
  local fields, owners, columns = {}, {}, {}
  for _, target in ipairs(targets) do
    for _, column in ipairs(columns_of[code_of(target)] or {}) do
      local at = #fields + 1
      fields[at], owners[at], columns[at] = target .. '/' .. column.code, target, column.name
    end
  end
  local values = read_many('HMGET', K.pending, fields)
  local found, last = {}, nil
  for i = 1, #fields do
    local value = values[i]
    if value then
      found[#found + 1] = fields[i]
      if value ~= '0' or string.byte(columns[i]) == TOUCH then
        local change = columns[i] .. '/' .. value
        if owners[i] == last then
          entries[#entries] = entries[#entries] .. '/' .. change
        else
          last = owners[i]
          entries[#entries + 1] = last
          entries[#entries + 1] = change
        end
      end
    end
  end
  return found
end

-- Takes targets off the index: the first ones together, which is cheaper, unless some of those stay.
local function take(targets, are_first)
  if #targets == 0 then return end
  call_many('HDEL', K.pending, collect(targets))
  if are_first then redis.call('ZREMRANGEBYRANK', K.due, 0, #targets - 1) else call_many('ZREM', K.due, targets) end
  taken = taken + #targets
end

if scope == 'targets' then
  local dirty, seen = {}, {}
  for i = 4, #ARGV do
    local target = inner(K, ARGV[i])
    if #dirty < limit and not seen[target] and redis.call('ZSCORE', K.due, target) and is_claimable(target) then dirty[#dirty + 1] = target end
    seen[target] = true
  end
  take(dirty, false)
else
  local highest, held = scope == 'due' and now or '+inf', 0
  repeat
    -- What is held back stays in front of what comes next.
    local page, free = redis.call('ZRANGEBYSCORE', K.due, '-inf', highest, 'LIMIT', held, limit), {}
    for _, target in ipairs(page) do
      if taken + #free < limit and is_claimable(target) then free[#free + 1] = target end
    end
    take(free, held == 0 and free[#free] == page[#free])
    held = held + #page - #free
  until #page == 0 or taken >= limit
end
if taken >= limit then more = 1 end

local first = redis.call('ZRANGE', K.due, 0, 0, 'WITHSCORES')
local following = first[2] and tonumber(first[2]) or false
if #entries == 0 then return { false, more, following, now } end
local batch = cjson.encode({ tonumber(epoch), now, entries, kinds_by_code(K) })
redis.call('HSET', K.batches, id, batch)
redis.call('ZADD', K.claims, now, id)
redis.call('SADD', K.unlisted, id)
redis.call('HINCRBY', K.meta, 'version', 1)
return { batch, more, following, now }
