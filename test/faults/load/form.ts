/** `FAULTS=full`: as long as it takes to meet what is rare. Otherwise just long enough to fail when something is broken. */
export const IS_FULL = process.env['FAULTS'] === 'full';

/** The full form of a size or a duration, or its short form. */
export function full<T>(long: T, short: T): T {
  return IS_FULL ? long : short;
}

/** Tells whoever runs the tests what was measured, and what is needed to run the same again. */
export function tell(text: string): void {
  process.stdout.write(`${text}\n`);
}
