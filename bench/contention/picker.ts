/** How the parents of new children are chosen. */
export type Skew = 'uniform' | 'zipf';

/** Picks ids from 1 to `parents`; `zipf`: the nth of them n times more seldom than the first. */
export function newPicker(parents: number, skew: Skew): () => number {
  if (skew === 'uniform') return () => 1 + Math.floor(Math.random() * parents);
  const sums = new Float64Array(parents);
  let sum = 0;
  for (let i = 0; i < parents; i++) sums[i] = sum += 1 / (i + 1);
  return () => 1 + lowerBound(sums, Math.random() * sum);
}

/** Index of the first element that is not less. */
function lowerBound(sorted: Float64Array, value: number): number {
  let [low, high] = [0, sorted.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
