import type { Estimate } from './statistics';

/** Bytes of a mebibyte. */
export const MIB = 2 ** 20;

/** Writes a number with so many digits behind the point. */
export function decimals(digits: number): (value: number) => string {
  return (value) => value.toFixed(digits);
}

/** A median with its 95 % confidence interval. */
export function withInterval({ median, low, high }: Estimate, format: (value: number) => string): string {
  return `${format(median)} (${format(low)} … ${format(high)})`;
}

/** A median with the middle half of the rounds. */
export function withSpread(estimate: Estimate, format: (value: number) => string): string {
  return `${format(estimate.median)} (${spread(estimate, format)})`;
}

/** The middle half of the rounds. */
export function spread({ lowerQuartile, upperQuartile }: Estimate, format: (value: number) => string): string {
  return `${format(lowerQuartile)} … ${format(upperQuartile)}`;
}

/** A whole number, with its thousands set apart. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

/** A time, given in microseconds. */
export function micros(value: number): string {
  return `${value.toFixed(0)} µs`;
}

/** Bytes by which a process has grown. */
export function growth(bytes: number): string {
  return `+ ${(bytes / MIB).toFixed(0)} MiB`;
}
