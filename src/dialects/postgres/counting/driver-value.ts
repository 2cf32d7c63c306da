import type { DataSource } from 'typeorm';

/** Of the types that counters have. */
const OIDS: Readonly<Record<string, number>> = { smallint: 21, integer: 23, bigint: 20, numeric: 1700 };

/** The module `pg`, as far as it is needed. */
interface Pg {
  readonly types?: { readonly getTypeParser?: (oid: number) => (text: string) => unknown };
}

/** What the driver makes of a number that the database sends as text: `parseInt8` and parsers of the application count. */
export function driverValue({ driver }: DataSource, sqlType: string, text: string): unknown {
  const { types } = (driver as { readonly postgres?: Pg }).postgres ?? {};
  const oid = OIDS[sqlType];
  const parse = oid === undefined ? undefined : types?.getTypeParser?.(oid);
  if (parse !== undefined) return parse(text);
  return sqlType === 'integer' || sqlType === 'smallint' ? Number(text) : text;
}
