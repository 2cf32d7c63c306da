-- Shared by most functions of a shard; put in front of them by scripts.ts.
-- K holds the keys that the calling function received, by their names below; scripts.ts makes it.
--
-- A target is known outside as '<table id>:<key values>', and in all keys but `intents` as '<code of its table>:<key values>':
-- most keys hold it once per dirty target.
--
--   tables       hash   '<table id>' -> code, a small number; codes stay
--   columns      hash   '<code of a table>/<column>', '<code of a table>/@<column>' -> code, a small number; codes stay
--   pending      hash   '<target>/<code of a column>' -> amount, or, for '@<column>', touch time in ms
--   due          zset   target -> ms
--   recalc       zset   target -> ms: a recalculation is requested
--   barriers     hash   target -> transaction id that must be over before any recalculation
--   leases      hash   target -> '<token> <expires ms>'
--   logs         hash   target -> '<intent id>/<column>/<amount>;'...: confirmed while the lease stands
--   failed       hash   target -> reason: parked, not due
--   intents      hash   id -> JSON [[target, wait, flushAt, recalculateIn or -1, [column, amount, ...], [touch, ...], replaced 0|1], ...]
--   intentTimes  zset   id -> ms
--   batches      hash   id -> JSON [epoch, claimed ms, [target, '<column>/<amount>/@<column>/<touch ms>'..., ...], {code: table id}]
--   claims       zset   batch id -> ms
--   claimed      hash   target -> number of unacknowledged batches that hold it, but for those in `unlisted`
--   unlisted     set    batch id: its targets are not counted in `claimed` yet
--   meta         hash   epoch, version
-- Amounts are decimal strings and only HINCRBY adds them: Lua's numbers are exact to 2^53 only.

local function text(number)
  return string.format('%.0f', number)
end

local function window_end(time, window)
  return math.ceil(time / window) * window
end

local function window_start(time, window)
  return math.floor(time / window) * window
end

local function recalculation_time(now, delay, window)
  local coarse = math.min(60 * window, math.max(window, math.floor(delay / 10 / window) * window))
  return window_end(now + delay, coarse)
end

-- The code that stands for a name in one of the hashes of codes; a new one if there is none yet.
local function code_for(key, name)
  local code = redis.call('HGET', key, name)
  if code then return code end
  code = text(redis.call('HLEN', key))
  redis.call('HSET', key, name, code)
  return code
end

-- A target as the keys name it.
local function inner(K, target)
  local id, values = string.match(target, '^(.*):([^:]*)$')
  K.codes = K.codes or {}
  K.codes[id] = K.codes[id] or code_for(K.tables, id)
  return K.codes[id] .. ':' .. values
end

-- The target tables by their codes.
local function tables_by_code(K)
  local stored, names = redis.call('HGETALL', K.tables), {}
  for i = 1, #stored, 2 do names[stored[i + 1]] = stored[i] end
  return names
end

-- A target as the world names it.
local function outer(K, target)
  K.names = K.names or tables_by_code(K)
  local code, values = string.match(target, '^([^:]*):(.*)$')
  return K.names[code] .. ':' .. values
end

-- The code of a target's table.
local function code_of(target)
  return string.match(target, '^([^:]*):')
end

-- Wake-ups are collected per distinct time, and returned as {now, {reconcile times}, {recalculate times}}.
local function new_wake_ups()
  return { reconcile = {}, recalculate = {} }
end

local function returned_wake_ups(now, wake_ups)
  local reconcile, recalculate = {}, {}
  for at in pairs(wake_ups.reconcile) do reconcile[#reconcile + 1] = at end
  for at in pairs(wake_ups.recalculate) do recalculate[#recalculate + 1] = at end
  return { now, reconcile, recalculate }
end

-- A lease that has expired is none.
local function standing_token(K, target, now)
  local lease = redis.call('HGET', K.leases, target)
  if not lease then return nil end
  local token, expires = string.match(lease, '^(%S+) (%d+)$')
  if tonumber(expires) <= now then return nil end
  return token
end

-- Requests a repair: a recalculation of every column, with a later snapshot, so the lease ends. The barrier is a transaction
-- that has to be over before it; '0' is none.
local function request_repair(K, target, at, barrier, wake_ups)
  local before = redis.call('ZSCORE', K.recalc, target)
  if not before or tonumber(before) > at then
    redis.call('ZADD', K.recalc, at, target)
    wake_ups.recalculate[at] = true
  end
  redis.call('HDEL', K.leases, target)
  redis.call('HDEL', K.logs, target)
  local standing = redis.call('HGET', K.barriers, target)
  if not standing or tonumber(standing) < tonumber(barrier) then redis.call('HSET', K.barriers, target, barrier) end
end

-- The columns that targets of each table may have pending, by the table's code.
local function columns_by_table(K)
  local stored, columns = redis.call('HGETALL', K.columns), {}
  for i = 1, #stored, 2 do
    local id, column = string.match(stored[i], '^(.*)/([^/]*)$')
    columns[id] = columns[id] or {}
    table.insert(columns[id], { name = column, code = stored[i + 1] })
  end
  return columns
end

-- The field of `pending` that holds a column of a target ('@' marks a touch).
local function field_of(K, target, column)
  local name = code_of(target) .. '/' .. column
  K.column_codes = K.column_codes or {}
  if not K.column_codes[name] then
    -- It may be a new one, which `columns_by_table` did not return.
    K.column_codes[name], K.columns_of = code_for(K.columns, name), nil
  end
  return target .. '/' .. K.column_codes[name]
end

-- Adds an amount to one field; false when the sum leaves int64 (nothing is changed then).
local function add_amount(K, target, column, amount)
  local sum = redis.pcall('HINCRBY', K.pending, field_of(K, target, column), amount)
  if type(sum) == 'table' then return false end
  return math.abs(sum)
end

local function add_touch(K, target, column, time)
  local field = field_of(K, target, '@' .. column)
  local before = redis.call('HGET', K.pending, field)
  if not before or tonumber(before) < time then redis.call('HSET', K.pending, field, text(time)) end
end

-- Makes a target due; a due time only ever moves earlier.
local function make_due(K, target, at, wake_ups)
  local before = redis.call('ZSCORE', K.due, target)
  if before and tonumber(before) <= at then return end
  redis.call('ZADD', K.due, at, target)
  wake_ups.reconcile[at] = true
end

-- The pending fields of a target: names, values (false where absent), columns ('@' marks a touch).
local function pending_of(K, target)
  K.columns_of = K.columns_of or columns_by_table(K)
  local fields, columns = {}, {}
  for i, column in ipairs(K.columns_of[code_of(target)] or {}) do
    fields[i], columns[i] = target .. '/' .. column.code, column.name
  end
  return fields, #fields > 0 and redis.call('HMGET', K.pending, unpack(fields)) or {}, columns
end

local function drop_pending(K, target)
  local fields = pending_of(K, target)
  if #fields > 0 then redis.call('HDEL', K.pending, unpack(fields)) end
  redis.call('ZREM', K.due, target)
  redis.call('HDEL', K.failed, target)
end

-- Makes the deltas of one intent pending.
local function add_deltas(K, id, deltas, now, window, wake_ups, any_lease)
  for _, delta in ipairs(deltas) do
    local named, wait, flush_at, recalculate_in, amounts, touches, replaced = unpack(delta)
    local target = inner(K, named)
    local leased = any_lease and standing_token(K, target, now)
    local biggest, overflow = 0, false
    for i = 1, #amounts, 2 do
      local sum = add_amount(K, target, amounts[i], amounts[i + 1])
      if not sum then overflow = true else biggest = math.max(biggest, sum) end
      if leased then redis.call('HSET', K.logs, target, (redis.call('HGET', K.logs, target) or '') .. id .. '/' .. amounts[i] .. '/' .. amounts[i + 1] .. ';') end
    end
    for i = 1, #touches do add_touch(K, target, touches[i], now) end
    if (#amounts > 0 or #touches > 0) and redis.call('HEXISTS', K.failed, target) == 0 then
      local at = window_end(now + wait, window)
      if flush_at > 0 and biggest >= flush_at then at = window_start(now, window) end
      make_due(K, target, at, wake_ups)
    end
    if recalculate_in >= 0 then
      local at = recalculation_time(now, recalculate_in, window)
      -- The earliest of what the counters of the target ask for: later writes ask for later times, and move nothing.
      if redis.call('ZADD', K.recalc, 'LT', 'CH', at, target) == 1 then wake_ups.recalculate[at] = true end
    end
    if replaced == 1 then
      drop_pending(K, target)
      -- Behind the transaction itself: its own changes must be seen.
      request_repair(K, target, window_start(now, window), string.match(id, '^%d+$') or '0', wake_ups)
    end
    if overflow then request_repair(K, target, window_start(now, window), '0', wake_ups) end
  end
end

-- Intents by the text of their deltas: { order = {text, ...}, ids = {text: {id, ...}} }.
local function new_groups()
  return { order = {}, ids = {} }
end

local function group(groups, payload, id)
  if not groups.ids[payload] then
    groups.ids[payload] = {}
    table.insert(groups.order, payload)
  end
  table.insert(groups.ids[payload], id)
end

-- The deltas that so many intents share, in one; nil where each intent counts by itself, or the sum is not exact.
local function multiplied(deltas, times)
  for _, delta in ipairs(deltas) do
    local flush_at, amounts, replaced = delta[3], delta[5], delta[7]
    if flush_at > 0 or replaced == 1 then return nil end
    for i = 2, #amounts, 2 do
      if math.abs(tonumber(amounts[i])) * times >= 2 ^ 53 then return nil end
    end
  end
  for _, delta in ipairs(deltas) do
    local amounts = delta[5]
    for i = 2, #amounts, 2 do amounts[i] = text(tonumber(amounts[i]) * times) end
  end
  return deltas
end

-- Makes the deltas of many intents pending. Under a hot target most are alike, and are added at once, unless a lease
-- has to tell them apart.
local function add_groups(K, groups, now, window, wake_ups)
  local any_lease = redis.call('EXISTS', K.leases) == 1
  for _, payload in ipairs(groups.order) do
    local ids, deltas = groups.ids[payload], cjson.decode(payload)
    local sum = #ids > 1 and not any_lease and multiplied(deltas, #ids)
    if sum then ids, deltas = { ids[1] }, sum end
    for _, id in ipairs(ids) do add_deltas(K, id, deltas, now, window, wake_ups, any_lease) end
  end
end
