-- Milliseconds since the epoch, by Redis' clock: every step of a shard goes by it.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
