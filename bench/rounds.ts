import { type Estimate, estimate } from './statistics';

/** What one batch of one variant took; the figures are the benchmark's own. */
export type Sample = Readonly<Record<string, number>>;

/** Something to compare. */
export interface Variant<Figures extends Sample> {
  readonly name: string;
  /** Runs one short batch. */
  sample(): Promise<Figures>;
}

/** The samples of one round by the variants' names: the mean of two batches each. */
export type Round<Figures extends Sample> = ReadonlyMap<string, Figures>;

/**
 * Runs the variants by turns until the time is over, and for `least` rounds at least: fewer tell nothing about the
 * spread. Every round goes through them forth and back (A B C C B A), so that
 * a steady drift of the machine cancels; each round begins with another one, so that none keeps the place in the middle.
 */
export async function interleave<Figures extends Sample>(
  variants: readonly Variant<Figures>[],
  seconds: number,
  least = 0,
): Promise<Round<Figures>[]> {
  const rounds: Round<Figures>[] = [];
  const end = performance.now() + seconds * 1_000;
  while (rounds.length < least || performance.now() < end) {
    const first = rounds.length % variants.length;
    const forth = [...variants.slice(first), ...variants.slice(0, first)];
    const samples = new Map<string, Figures>();
    for (const variant of [...forth, ...forth.toReversed()]) {
      const sample = await variant.sample();
      const other = samples.get(variant.name);
      samples.set(variant.name, other === undefined ? sample : meanOf(other, sample));
    }
    rounds.push(samples);
  }
  return rounds;
}

/** One figure of a variant, as a ratio to the same round's figure of another, and as a difference. */
export interface Comparison {
  readonly ratio: Estimate;
  readonly difference: Estimate;
}

/** Compares within each round, where both have met the same machine. */
export function compare<Figures extends Sample>(
  rounds: readonly Round<Figures>[],
  figure: keyof Figures & string,
  variant: string,
  base: string,
): Comparison {
  const of = valuesOf(rounds, figure, variant);
  const to = valuesOf(rounds, figure, base);
  return {
    ratio: estimate(of.map((value, round) => value / (to[round] ?? Number.NaN))),
    difference: estimate(of.map((value, round) => value - (to[round] ?? Number.NaN))),
  };
}

/** One figure of a variant, round by round. */
export function valuesOf<Figures extends Sample>(
  rounds: readonly Round<Figures>[],
  figure: keyof Figures & string,
  variant: string,
): number[] {
  return rounds.map((round) => round.get(variant)?.[figure] ?? Number.NaN);
}

function meanOf<Figures extends Sample>(one: Figures, other: Figures): Figures {
  const means = Object.entries(one).map(([figure, value]) => [figure, (value + (other[figure] ?? Number.NaN)) / 2]);
  return Object.fromEntries(means) as Figures;
}
