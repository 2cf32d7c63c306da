-- Pending and claimed amounts of targets, at one version of the shard.
-- KEYS: meta, pending, columns, batches, claimed, tables, unlisted   ARGV: target, ...
-- Returns: {version, {{column, amount, ...}, ...}, {batch id, batch JSON, ...}}: the batches that hold any of the targets
local held, any_claim = {}, false
list_claims(K)
for _, named in ipairs(ARGV) do
  local target, amounts = inner(K, named), {}
  local _, values, columns = pending_of(K, target)
  for i, value in ipairs(values) do
    if value and string.sub(columns[i], 1, 1) ~= '@' then
      table.insert(amounts, columns[i])
      table.insert(amounts, value)
    end
  end
  table.insert(held, amounts)
  any_claim = any_claim or redis.call('HEXISTS', K.claimed, target) == 1
end
return { tonumber(redis.call('HGET', K.meta, 'version') or '0'), held, any_claim and redis.call('HGETALL', K.batches) or {} }
