const TABLE = /^(?:ONLY\s+)?((?:"(?:[^"]|"")*"|[\w$]+)(?:\s*\.\s*(?:"(?:[^"]|"")*"|[\w$]+))*)/i;
const PART = /"((?:[^"]|"")*)"|([\w$]+)/g;

/** Names of the tables that a TRUNCATE statement empties, schemas left out. Those that CASCADE adds are not named. */
export function truncatedTables(sql: string): string[] {
  const tables: string[] = [];
  let rest = sql.replace(/^[\s\S]*?\bTRUNCATE\s+(?:TABLE\s+)?/i, '');
  for (let match = TABLE.exec(rest); match !== null; match = TABLE.exec(rest)) {
    const parts = [...(match[1] ?? '').matchAll(PART)];
    const [, quoted, plain = ''] = parts.at(-1) ?? [];
    tables.push(quoted === undefined ? plain.toLowerCase() : quoted.replaceAll('""', '"'));
    rest = rest.slice(match[0].length).replace(/^\s*\*?\s*/, '');
    if (!rest.startsWith(',')) break;
    rest = rest.slice(1).trimStart();
  }
  return tables;
}
