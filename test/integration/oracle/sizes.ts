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

/** Beside the short form and the long one, which takes about an hour, CI runs fewer seeds of the long one. */
interface LongSize extends SizeOptions {
  /** How many seeds CI runs. @defaultValue `seeds` */
  readonly ciSeeds?: number;
}

/**
 * How much is run: `ORACLE=full` for the long form, `ORACLE=ci` for that of CI, `ORACLE_FROM` for other seeds, `ORACLE_SEED`
 * for a single one.
 */
export function sizeOf(short: SizeOptions, full: LongSize): Size {
  const { ORACLE, ORACLE_FROM, ORACLE_SEED, ORACLE_OPERATIONS } = process.env;
  const { ciSeeds = full.seeds } = full;
  const forms: Record<string, SizeOptions> = { full, ci: { ...full, seeds: ciSeeds } };
  const chosen = forms[ORACLE ?? ''] ?? short;
  const first = Number(ORACLE_SEED ?? ORACLE_FROM ?? chosen.from ?? 1);
  const count = ORACLE_SEED === undefined ? chosen.seeds : 1;
  return {
    seeds: Array.from({ length: count }, (_, i) => first + i),
    operations: Number(ORACLE_OPERATIONS ?? chosen.operations),
  };
}

/** A single seed cannot be expected to meet every kind of write. */
export const IS_REPLAY = process.env['ORACLE_SEED'] !== undefined;
