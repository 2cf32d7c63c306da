import type { QueryResult, QueryRunner } from 'typeorm';

/** A query runner with another `query()`; all else is the runner's own. */
export function withQuery(
  runner: QueryRunner,
  query: (sql: string, parameters?: unknown[]) => Promise<QueryResult>,
): QueryRunner {
  return new Proxy(runner, {
    get(target, key): unknown {
      if (key === 'query') return query;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
    set: (target, key, value) => Reflect.set(target, key, value, target),
  });
}
