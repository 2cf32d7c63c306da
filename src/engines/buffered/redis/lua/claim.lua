-- Moves pending deltas into a new batch. Leased targets stay (hold).
-- KEYS: meta, pending, due, columns, leases, batches, claims, unlisted, tables
-- ARGV: batch id, limit, 'due' | 'dirty' | 'targets', what the caller knows (JSON {table id: [column, '@' .. touch, ...]}; '': all),
--   then table ids (none: all) or targets
-- Returns: {batch JSON or false, 1 if more may be claimable, next due or false, now,
--   {targets left for others, {those of them in the batch}, oldest due of them or false, {table ids}, 1 if some were put off}}
local id, limit, scope, known = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] ~= '' and cjson.decode(ARGV[4])
local now, entries, taken, more = clock(), {}, 0, 0
local epoch = redis.call('HGET', K.meta, 'epoch')
if not epoch then return { false, 0, false, now } end
local any_lease = redis.call('EXISTS', K.leases) == 1
local columns_of, others_of, names = columns_by_table(K), {}, tables_by_code(K)
local codes = scope == 'dirty' and #ARGV > 4 and {} or nil
if codes then
  for i = 5, #ARGV do codes[redis.call('HGET', K.tables, ARGV[i]) or 'none'] = true end
end

-- Columns that the caller does not know are for others, and so are targets of such tables.
for code, columns in pairs(known and columns_of or {}) do
  local is_known, own, others = {}, {}, {}
  for _, name in ipairs(known[names[code]] or {}) do is_known[name] = true end
  for _, column in ipairs(columns) do table.insert(is_known[column.name] and own or others, column) end
  columns_of[code], others_of[code] = own, #others > 0 and others or nil
end

local function is_claimable(target)
  return (not codes or codes[code_of(target)]) and not (any_lease and standing_token(K, target, now))
end

-- Targets of which something is left where it is, for others; so many of them in front of what is due that some are put off.
local left, left_in_batch, left_since, left_tables, put_off = {}, {}, false, {}, false
local MAX_LEFT, PUT_OFF = 5000, 10000

local function leave(target)
  left[#left + 1] = target
  left_tables[code_of(target)] = true
  if scope == 'targets' or not left_since then
    local at = tonumber(redis.call('ZSCORE', K.due, target))
    if not left_since or at < left_since then left_since = at end
  end
end

-- Which of the targets have something pending that the caller does not know.
local function others_pending(targets)
  local fields, owners, found = {}, {}, {}
  for _, target in ipairs(targets) do
    for _, column in ipairs(others_of[code_of(target)] or {}) do
      fields[#fields + 1], owners[#owners + 1] = target .. '/' .. column.code, target
    end
  end
  if #fields == 0 then return found end
  local values = read_many('HMGET', K.pending, fields)
  for i = 1, #fields do
    if values[i] then found[owners[i]] = true end
  end
  return found
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

-- Takes targets, and what the caller knows of them, off the index: the first ones together, which is cheaper, unless some of
-- those stay. Returns how many are off.
local function take(targets, are_first)
  if #targets == 0 then return 0 end
  local others, gone = next(others_of) and others_pending(targets) or {}, targets
  local before = #entries
  local found = collect(targets)
  call_many('HDEL', K.pending, found)
  if next(others) then
    local in_batch = {}
    for i = before + 1, #entries, 2 do in_batch[entries[i]] = true end
    gone = {}
    for _, target in ipairs(targets) do
      if not others[target] then
        gone[#gone + 1] = target
      else
        leave(target)
        if in_batch[target] then
          taken = taken + 1
          left_in_batch[#left_in_batch + 1] = outer(K, target)
        end
      end
    end
  end
  if are_first and #gone == #targets then
    redis.call('ZREMRANGEBYRANK', K.due, 0, #gone - 1)
  else
    call_many('ZREM', K.due, gone)
  end
  taken = taken + #gone
  return #gone
end

local held = 0
if scope == 'targets' then
  local dirty, seen = {}, {}
  for i = 5, #ARGV do
    local target = inner(K, ARGV[i])
    if #dirty < limit and not seen[target] and redis.call('ZSCORE', K.due, target) and is_claimable(target) then dirty[#dirty + 1] = target end
    seen[target] = true
  end
  take(dirty, false)
else
  local highest = scope == 'due' and now or '+inf'
  repeat
    -- What is held back stays in front of what comes next.
    local page, free, looked_at = redis.call('ZRANGEBYSCORE', K.due, '-inf', highest, 'LIMIT', held, limit), {}, 0
    for _, target in ipairs(page) do
      if taken + #free >= limit then break end
      looked_at = looked_at + 1
      if is_claimable(target) then free[#free + 1] = target end
    end
    held = held + looked_at - take(free, held == 0 and free[#free] == page[#free])
    put_off = scope == 'due' and #left >= MAX_LEFT
  until #page == 0 or taken >= limit or put_off
end
if taken >= limit or put_off then more = 1 end
if put_off then
  local later = {}
  for _, target in ipairs(left) do
    later[#later + 1] = now + PUT_OFF
    later[#later + 1] = target
  end
  call_many('ZADD', K.due, later)
end

local tables_left = {}
for code in pairs(left_tables) do tables_left[#tables_left + 1] = names[code] end
local for_others = { #left, left_in_batch, left_since, tables_left, put_off and 1 or 0 }
-- What is left in front is not due again for this caller.
local rank = scope == 'due' and #left > 0 and not put_off and held or 0
local first = redis.call('ZRANGE', K.due, rank, rank, 'WITHSCORES')
local following = first[2] and tonumber(first[2]) or false
if #entries == 0 then return { false, more, following, now, for_others } end
local batch = cjson.encode({ tonumber(epoch), now, entries, names })
redis.call('HSET', K.batches, id, batch)
redis.call('ZADD', K.claims, now, id)
redis.call('SADD', K.unlisted, id)
redis.call('HINCRBY', K.meta, 'version', 1)
return { batch, more, following, now, for_others }
