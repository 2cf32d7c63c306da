-- Sets pending to what is missing, where the same lease still stands, and ends the lease.
-- KEYS: meta, pending, due, columns, recalc, barriers, leases, logs, failed, intents, tables
-- ARGV: token, window, snapshot xmin, xmax, in progress (JSON), consume 0|1, dry 0|1,
--       recounts (JSON [[target, present 0|1, rearm ms or -1, [column, missing, ...]], ...])
-- Returns: {now, {reconcile times}, {recalculate times}, {{standing 0|1, {before, {unseen, ...}, {absorbed, ...}} per column}, ...},
--   {targets with something pending now, ...}}
local token, window, xmin, xmax = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local consume, dry = ARGV[6] == '1', ARGV[7] == '1'
local now, wake_ups, outcomes, dirty, in_progress = clock(), new_wake_ups(), {}, {}, {}
local any_log, any_failed = redis.call('EXISTS', K.logs) == 1, redis.call('EXISTS', K.failed) == 1
for _, id in ipairs(cjson.decode(ARGV[5])) do in_progress[id] = true end

local function visible(id)
  if not string.match(id, '^%d+$') then return false end
  local number = tonumber(id)
  return (number < xmin or (number < xmax and not in_progress[id]))
end

-- Open intents that the snapshot has seen: their deltas are in the truth already. By target, so that each is looked at once.
local seen, seen_by_target = {}, {}
local stored = redis.call('HGETALL', K.intents)
for i = 1, #stored, 2 do
  if visible(stored[i]) then
    local intent = { id = stored[i], deltas = cjson.decode(stored[i + 1]), changed = false }
    table.insert(seen, intent)
    for _, delta in ipairs(intent.deltas) do
      seen_by_target[delta[1]] = seen_by_target[delta[1]] or {}
      table.insert(seen_by_target[delta[1]], { intent = intent, delta = delta })
    end
  end
end

-- Takes a column of a target out of the seen intents: a later confirm adds it no more (absorb).
local function absorb(named, column)
  local absorbed = {}
  for _, entry in ipairs(seen_by_target[named] or {}) do
    local delta, kept = entry.delta, {}
    for i = 1, #delta[5], 2 do
      if delta[5][i] == column then
        table.insert(absorbed, delta[5][i + 1])
        entry.intent.changed = true
      else
        table.insert(kept, delta[5][i])
        table.insert(kept, delta[5][i + 1])
      end
    end
    if not dry then delta[5] = kept end
  end
  return absorbed
end

-- Takes everything of a target out of the seen intents: its row is gone, and they may be late for one that takes over its key.
local function absorb_all(named)
  for _, entry in ipairs(seen_by_target[named] or {}) do
    if #entry.delta[5] > 0 then
      entry.delta[5] = {}
      entry.intent.changed = true
    end
  end
end

local function unseen_of(log)
  local unseen, any = {}, false
  for id, column, amount in string.gmatch(log, '([^/;]+)/([^/;]+)/([^/;]+);') do
    if not visible(id) then
      unseen[column] = unseen[column] or {}
      table.insert(unseen[column], amount)
      any = true
    end
  end
  return unseen, any
end

-- What is pending for a target: column -> amount or touch time, false where nothing is.
local function held_by(target)
  local held = {}
  local _, values, columns = pending_of(K, target)
  for i, column in ipairs(columns) do held[column] = values[i] end
  return held
end

-- False when a sum does not fit; then nothing is pending.
local function set_pending(target, column, held, missing, amounts)
  if not held[column] and missing == '0' and #amounts == 0 then return true end
  local field = field_of(K, target, column)
  if held[column] then redis.call('HDEL', K.pending, field) end
  held[column] = false
  if missing == '0' and #amounts == 0 then return true end
  local fits = add_amount(K, target, column, missing)
  for _, amount in ipairs(amounts) do fits = add_amount(K, target, column, amount) and fits end
  if fits then held[column] = redis.call('HGET', K.pending, field) else redis.call('HDEL', K.pending, field) end
  return fits
end

local function drop(target)
  drop_pending(K, target)
  redis.call('ZREM', K.recalc, target)
  redis.call('HDEL', K.barriers, target)
end

local function settle(target, named, held)
  local any = false
  for column, value in pairs(held) do
    if value == '0' then redis.call('HDEL', K.pending, field_of(K, target, column)) elseif value then any = true end
  end
  if any_failed then redis.call('HDEL', K.failed, target) end
  if any then
    table.insert(dirty, named)
    make_due(K, target, window_start(now, window), wake_ups)
  else
    redis.call('ZREM', K.due, target)
  end
end

for _, recount in ipairs(cjson.decode(ARGV[8])) do
  local named, present, rearm, missing = unpack(recount)
  local target = inner(K, named)
  if standing_token(K, target, now) ~= token then
    table.insert(outcomes, { 0, {} })
  else
    local unseen, any_unseen = unseen_of(any_log and redis.call('HGET', K.logs, target) or '')
    redis.call('HDEL', K.leases, target)
    if any_log then redis.call('HDEL', K.logs, target) end
    -- Absent for the snapshot, yet a transaction added to it since: the row has appeared, and is read again.
    local standing = (present == 1 or not any_unseen) and 1 or 0
    local known, fits, held = {}, true, held_by(target)
    for i = 1, #missing, 2 do
      local column = missing[i]
      table.insert(known, { held[column] or '0', unseen[column] or {}, absorb(named, column) })
      if not dry then fits = set_pending(target, column, held, missing[i + 1], unseen[column] or {}) and fits end
    end
    if not dry and standing == 1 then
      if present == 0 then
        absorb_all(named)
        drop(target)
      else
        settle(target, named, held)
      end
      if consume then
        redis.call('ZREM', K.recalc, target)
        redis.call('HDEL', K.barriers, target)
        if any_unseen and rearm >= 0 then
          local at = recalculation_time(now, rearm, window)
          redis.call('ZADD', K.recalc, at, target)
          wake_ups.recalculate[at] = true
        end
      end
      -- After the request was consumed, so that it stands; and later, since the next recount finds the same.
      if not fits then request_repair(K, target, window_end(now + 60 * window, window), '0', wake_ups) end
    end
    table.insert(outcomes, { standing, known })
  end
end

if not dry then
  redis.call('HINCRBY', K.meta, 'version', 1)
  for _, intent in ipairs(seen) do
    if intent.changed then redis.call('HSET', K.intents, intent.id, cjson.encode(intent.deltas)) end
  end
end
local result = returned_wake_ups(now, wake_ups)
return { result[1], result[2], result[3], outcomes, dirty }
