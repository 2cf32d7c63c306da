-- Deletes a batch; gives what was not applied back to pending: targets, or some columns of them, due later or parked as failed.
-- KEYS: meta, pending, due, columns, batches, claims, claimed, failed, recalc, barriers, leases, logs, tables, unlisted
-- ARGV: batch id, unapplied (JSON [[target, backoff ms] | [target, backoff ms, [column, ...]] | [target, -1, reason], ...]), window
-- Returns: {1 if the batch was there, now, {reconcile times}, {recalculate times}}
local raw = redis.call('HGET', K.batches, ARGV[1])
local now, window, wake_ups = clock(), tonumber(ARGV[3]), new_wake_ups()
if not raw then return { 0, now, {}, {} } end

-- Whether a column, or the one that a touch is of, goes back: all do, unless some are named.
local function goes_back(name, back)
  if back[2] < 0 or not back[3] then return true end
  for _, column in ipairs(back[3]) do if column == name then return true end end
  return false
end

local function give_back(target, changes, back)
  for column, value in string.gmatch(changes, '([^/]+)/([^/]+)') do
    local is_touch = string.byte(column) == TOUCH
    local name = is_touch and string.sub(column, 2) or column
    if not goes_back(name, back) then
      -- Applied.
    elseif is_touch then
      add_touch(K, target, name, tonumber(value))
    elseif not add_amount(K, target, name, value) then
      request_repair(K, target, window_start(now, window), '0', wake_ups)
    end
  end
  if back[2] < 0 then
    redis.call('HSET', K.failed, target, back[3])
    redis.call('ZREM', K.due, target)
  else
    local at = window_end(now + back[2], window)
    redis.call('ZADD', K.due, at, target)
    wake_ups.reconcile[at] = true
  end
end

local unapplied, any_unapplied = {}, false
for _, row in ipairs(cjson.decode(ARGV[2])) do unapplied[inner(K, row[1])], any_unapplied = row, true end
if any_unapplied then
  local entries = cjson.decode(raw)[3]
  for i = 1, #entries, 2 do
    local back = unapplied[entries[i]]
    if back then give_back(entries[i], entries[i + 1], back) end
  end
end
unlist_claims(K, ARGV[1], raw)
redis.call('HDEL', K.batches, ARGV[1])
redis.call('ZREM', K.claims, ARGV[1])
redis.call('HINCRBY', K.meta, 'version', 1)
local result = returned_wake_ups(now, wake_ups)
return { 1, result[1], result[2], result[3] }
