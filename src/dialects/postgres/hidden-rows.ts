/**
 * An SQL expression that says whether rows of a table may exist that this connection does not see: row security is active
 * for its role. Such a row must not be taken for gone (I9). The path is escaped.
 */
export function mayMissRowsSql(escapedPath: string): string {
  return `row_security_active('${escapedPath.replaceAll("'", "''")}')`;
}
