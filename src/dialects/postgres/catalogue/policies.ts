/** A command as `pg_policy.polcmd` names it. */
const COMMANDS = { select: 'r', insert: 'a', update: 'w', delete: 'd' } as const;

type Command = keyof typeof COMMANDS;

/** The condition that a policy puts on rows: those that are there, or, of an INSERT, those that are made. */
const CONDITIONS: Readonly<Record<Command, string>> = {
  select: 'p.polqual',
  insert: 'COALESCE(p.polwithcheck, p.polqual)',
  update: 'p.polqual',
  delete: 'p.polqual',
};

/**
 * The constant `true`, in the text of a node tree (the same from 10 to 18; a Datum is printed byte by byte). `pg_get_expr` would
 * lock the table, whose lock another transaction may hold that waits for this reading.
 */
const TRUE = `'^[{]CONST .consttype 16 .* .constisnull false .* .constvalue 1 [[] (1( 0)+|(0 )+1) []][}]$'`;

/** Policies of a table for a command that concern the present role, as far as it has the privileges of their roles. */
function policies(table: string, command: Command, more: string): string {
  return `EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = ${table} AND p.polcmd IN ('*', '${COMMANDS[command]}')
    AND EXISTS (SELECT FROM unnest(p.polroles) AS r(oid) WHERE CASE WHEN r.oid = 0 THEN true ELSE pg_has_role(r.oid, 'USAGE') END)
    AND ${more})`;
}

/**
 * SQL that finds out whether policies let the present role reach every row of a table by a command: they do not concern it, or
 * one says `true` and none restricts it. What other conditions come to is not guessed.
 *
 * @param table an expression for the table's oid
 */
export function reachesAllSql(table: string, command: Command): string {
  const condition = `${CONDITIONS[command]}::text`;
  const permits = policies(table, command, `p.polpermissive AND ${condition} ~ ${TRUE}`);
  const restricts = policies(table, command, `NOT p.polpermissive AND ${condition} !~ ${TRUE}`);
  return `CASE WHEN row_security_active(${table}) THEN ${permits} AND NOT ${restricts} ELSE true END`;
}

/**
 * SQL for an array of those tables of which policies may hide rows from the present role, as far as it is known for
 * certain that they do not.
 *
 * @param names an expression for an array of escaped names, resolved as in any statement
 */
export function hiddenTablesSql(names: string): string {
  const isHidden = `row_security_active(t.name) AND NOT (${reachesAllSql('t.name::regclass', 'select')})`;
  return `ARRAY(SELECT t.name FROM unnest(${names}) AS t(name) WHERE ${isHidden})`;
}
