interface Size {
  readonly seeds: readonly number[];
  readonly operations: number;
}

interface SizeOptions {
  readonly seeds: number;
  readonly operations: number;
  /** The first seed. @defaultValue 1 */
  readonly from?: number;
}

/** How much is run: `ORACLE=full` for the long form, `ORACLE_FROM` for other seeds, `ORACLE_SEED` for a single one. */
export function sizeOf(short: SizeOptions, full: SizeOptions): Size {
  const { ORACLE, ORACLE_FROM, ORACLE_SEED, ORACLE_OPERATIONS } = process.env;
  const chosen = ORACLE === 'full' ? full : short;
  const first = Number(ORACLE_SEED ?? ORACLE_FROM ?? chosen.from ?? 1);
  const count = ORACLE_SEED === undefined ? chosen.seeds : 1;
  return {
    seeds: Array.from({ length: count }, (_, i) => first + i),
    operations: Number(ORACLE_OPERATIONS ?? chosen.operations),
  };
}

/** A single seed cannot be expected to meet every kind of write. */
export const IS_REPLAY = process.env['ORACLE_SEED'] !== undefined;
