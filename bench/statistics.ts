/** A figure that was measured once per round. */
export interface Estimate {
  readonly median: number;
  /** 95 % confidence interval of the median. */
  readonly low: number;
  readonly high: number;
  /** Between the quartiles lies the middle half of the rounds. */
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
  readonly rounds: number;
}

/** The value below which the share `part` of the values lies, interpolated between neighbours. */
export function quantile(values: readonly number[], part: number): number {
  return at(
    values.toSorted((a, b) => a - b),
    part * (values.length - 1),
  );
}

/** The median of the values. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/**
 * Median and spread. The interval is that of the sign test: between order statistics, so nothing is assumed about how
 * the values are distributed.
 */
export function estimate(values: readonly number[]): Estimate {
  const sorted = values.toSorted((a, b) => a - b);
  const last = sorted.length - 1;
  // Half the width of a binomial distribution's middle 95 %, in ranks.
  const reach = 0.98 * Math.sqrt(sorted.length);
  return {
    median: at(sorted, last / 2),
    low: at(sorted, Math.max(0, last / 2 - reach)),
    high: at(sorted, Math.min(last, last / 2 + reach)),
    lowerQuartile: at(sorted, last / 4),
    upperQuartile: at(sorted, (last * 3) / 4),
    rounds: sorted.length,
  };
}

function at(sorted: readonly number[], position: number): number {
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}
