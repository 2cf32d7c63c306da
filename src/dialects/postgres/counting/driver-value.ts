import type { DataSource } from 'typeorm';

/** Of the types that counters have. */
const OIDS: Readonly<Record<string, number>> = { smallint: 21, integer: 23, bigint: 20, numeric: 1700 };

/** The module `pg`, and options of its connections, as far as they are needed. */
interface Parsers {
  readonly types?: { readonly getTypeParser?: (oid: number) => (text: string) => unknown };
}

/**
 * What the driver makes of a number that the database sends as text: `parseInt8`, and parsers of the application count,
 * those of its DataSource (`extra.types`) before those of the process.
 */
export function driverValue({ driver, options }: DataSource, sqlType: string, text: string): unknown {
  const { extra } = options as { readonly extra?: Parsers };
  const types = extra?.types ?? (driver as { readonly postgres?: Parsers }).postgres?.types;
  const oid = OIDS[sqlType];
  const parse = oid === undefined ? undefined : types?.getTypeParser?.(oid);
  if (parse !== undefined) return parse(text);
  return sqlType === 'integer' || sqlType === 'smallint' ? Number(text) : text;
}
