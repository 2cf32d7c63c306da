/** A setting of the transaction that {@link countUpdates} counts in. */
const SETTING = 'counter_cache.updates';

/** Sets the count to 0, up to the end of the transaction, or of the savepoint that is rolled back. */
export const START_COUNTING = `SET LOCAL ${SETTING} = '0'`;

/**
 * To return with each row: the count by then. It is higher than with the row before (or than 0) where an upsert updated the
 * row. `xmax`, which says the same, is not returned of partitioned tables before version 18, nor of views.
 */
export const UPDATES = `current_setting('${SETTING}')`;

const COUNT = `set_config('${SETTING}', (${UPDATES}::int + 1)::text, true) <> ''`;

/** An upsert that counts the rows it updates: its DO UPDATE has a condition, evaluated for each of them alone, that does. */
export function countUpdates(sql: string): string {
  const at = clauses(sql, ['DO UPDATE SET', 'WHERE', 'RETURNING']);
  const [update, returning] = [at.get('DO UPDATE SET'), at.get('RETURNING')];
  if (update === undefined || returning === undefined) return sql;
  const where = at.get('WHERE');
  const [head, tail] = [sql.slice(0, where ?? returning), sql.slice(returning)];
  if (where === undefined) return `${head}WHERE ${COUNT} ${tail}`;
  const condition = sql.slice(where + 'WHERE'.length, returning).trim();
  // Of AND, either side may be evaluated first.
  return `${head}WHERE CASE WHEN (${condition}) THEN ${COUNT} ELSE false END ${tail}`;
}

/** Quoted names and texts, comments, brackets and words. */
const TOKENS = /"(?:[^"]|"")*"|'(?:[^']|'')*'|\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|[()]|[A-Za-z_]\w*/g;

/** Where clauses begin, each behind the one before, outside brackets. */
function clauses(sql: string, names: readonly string[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  let depth = 0;
  for (const { 0: token, index } of sql.matchAll(TOKENS)) {
    if (token === '(') depth += 1;
    else if (token === ')') depth -= 1;
    else if (depth === 0) {
      const name = names.find((one) => sql.startsWith(one, index));
      if (name !== undefined && (name === names[0] || found.size > 0)) found.set(name, index);
    }
  }
  return found;
}
