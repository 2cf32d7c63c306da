import type { Row } from '../model/definition';

/** Whether a row holds what another does, in the columns of the other: it counts alike. Objects are never the same. */
export function isAlike(row: Row | null | undefined, other: Row | null): boolean {
  if (row === null || row === undefined || other === null) return row === other;
  for (const name in other) if (row[name] !== other[name]) return false;
  return true;
}
