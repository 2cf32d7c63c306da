-- Shared by the functions that deal with whole batches; behind lib.lua.

-- The byte that marks the column of a touch: '@'.
local TOUCH = 64

-- Arguments passed at a time: Lua's stack holds 8,000. Even, so that pairs stay together.
local SLICE = 4000

-- One command with many arguments, instead of a command for each.
local function call_many(command, key, arguments)
  for first = 1, #arguments, SLICE do
    redis.call(command, key, unpack(arguments, first, math.min(first + SLICE - 1, #arguments)))
  end
end

-- What a command answers for each of many arguments (false where there is nothing).
local function read_many(command, key, arguments)
  if #arguments <= SLICE and #arguments > 0 then return redis.call(command, key, unpack(arguments)) end
  local answers = {}
  for first = 1, #arguments, SLICE do
    local last = math.min(first + SLICE - 1, #arguments)
    for i, answer in ipairs(redis.call(command, key, unpack(arguments, first, last))) do answers[first + i - 1] = answer end
  end
  return answers
end

-- The targets of a batch as it is stored.
local function targets_of(batch)
  local entries, targets = cjson.decode(batch)[3], {}
  for i = 1, #entries, 2 do targets[#targets + 1] = entries[i] end
  return targets
end

-- Counts, in `claimed`, the targets of batches that are not counted yet. Few batches live to be asked about, and most
-- are acknowledged without having been counted.
local function list_claims(K)
  for _, id in ipairs(redis.call('SMEMBERS', K.unlisted)) do
    local targets, first = targets_of(redis.call('HGET', K.batches, id)), {}
    for i, count in ipairs(read_many('HMGET', K.claimed, targets)) do
      if count then
        redis.call('HINCRBY', K.claimed, targets[i], 1)
      else
        first[#first + 1] = targets[i]
        first[#first + 1] = '1'
      end
    end
    call_many('HSET', K.claimed, first)
    redis.call('SREM', K.unlisted, id)
  end
end

-- Counts a batch no more.
local function unlist_claims(K, id, batch)
  if redis.call('SREM', K.unlisted, id) == 1 then return end
  local targets, last = targets_of(batch), {}
  for i, count in ipairs(read_many('HMGET', K.claimed, targets)) do
    if count and tonumber(count) > 1 then
      redis.call('HINCRBY', K.claimed, targets[i], -1)
    else
      last[#last + 1] = targets[i]
    end
  end
  call_many('HDEL', K.claimed, last)
end
