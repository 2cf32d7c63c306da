/** How a delta gets from the caller's transaction to where it waits. */
export const DURABILITIES = ['guarded', 'outbox'] as const;

/** One of {@link DURABILITIES}. */
export type Durability = (typeof DURABILITIES)[number];

export function isDurability(value: unknown): value is Durability {
  return DURABILITIES.some((durability) => durability === value);
}
