import type { Round, Sample, Variant } from '../rounds';

/** Rounds that a comparison needs at least. */
const LEAST = 5;

/**
 * Takes one sample of every variant per round, until the time is over: a sample takes seconds, so that what `interleave`
 * does with batches of milliseconds would take an hour. Every round begins with another variant, and every other one
 * runs backwards. A round before all is thrown away.
 */
export async function takeRounds<Figures extends Sample>(
  variants: readonly Variant<Figures>[],
  seconds: number,
): Promise<Round<Figures>[]> {
  for (const variant of variants) await variant.sample();
  const rounds: Round<Figures>[] = [];
  const end = performance.now() + seconds * 1_000;
  while (rounds.length < LEAST || performance.now() < end) {
    const first = rounds.length % variants.length;
    const turned = [...variants.slice(first), ...variants.slice(0, first)];
    const samples = new Map<string, Figures>();
    for (const variant of rounds.length % 2 === 0 ? turned : turned.toReversed()) {
      samples.set(variant.name, await variant.sample());
    }
    rounds.push(samples);
    console.log(`Round ${rounds.length} …`);
  }
  return rounds;
}
