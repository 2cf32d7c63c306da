/** How a delta gets from the caller's transaction to where it waits. */
export const MODES = ['buffered', 'outbox'] as const;

/** One of {@link MODES}. */
export type Mode = (typeof MODES)[number];

export function isMode(value: unknown): value is Mode {
  return MODES.some((mode) => mode === value);
}
