import { Client } from 'pg';

type Query = (this: Client, ...args: unknown[]) => unknown;

/** Has every INSERT of this process prepared, once per connection and text. */
export function prepareInserts(): void {
  const prototype = Client.prototype as unknown as { query: Query };
  const { query } = prototype;
  const names = new Map<string, string>();
  prototype.query = function (this: Client, first, ...rest) {
    if (typeof first !== 'string' || !first.startsWith('INSERT')) return query.call(this, first, ...rest);
    const name = names.get(first) ?? `insert_${names.size}`;
    names.set(first, name);
    return query.call(this, { text: first, name }, ...rest);
  };
}
