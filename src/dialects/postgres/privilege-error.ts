/** PostgreSQL: insufficient_privilege; also for a row that a policy does not admit. */
const INSUFFICIENT_PRIVILEGE = '42501';

/** Whether the database refused a statement since its role lacks a privilege, or by a policy. */
export function isInsufficientPrivilege(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === INSUFFICIENT_PRIVILEGE;
}
