import type { Crew } from '../faults/load/crew';
import { until } from '../support/until';
import type { Reports } from './report';

/** How long a process may take to tell what it keeps, ms. */
const PATIENCE = 30_000;

/** Bytes of heap after garbage collection, by process. */
export type Heaps = Readonly<Record<string, number>>;

/** Asks processes for what they keep; one that does not answer is `NaN`. */
export async function measure(crew: Crew, reports: Reports, places: readonly number[]): Promise<Heaps> {
  reports.forgetMemory();
  const names = places.map((place) => crew.send(place, 'memory'));
  await until(() => names.every((name) => reports.memoryOf(name) !== undefined), PATIENCE, 20).catch(() => undefined);
  return Object.fromEntries(names.map((name) => [name, reports.memoryOf(name)?.heap ?? Number.NaN]));
}

/** By how much each process has grown. */
export function growth(before: Heaps, after: Heaps): Heaps {
  return Object.fromEntries(Object.entries(after).map(([name, heap]) => [name, heap - (before[name] ?? Number.NaN)]));
}

export function megabytes(heaps: Heaps): string {
  const texts = Object.entries(heaps).map(([name, bytes]) => `${name} ${(bytes / 2 ** 20).toFixed(1)}`);
  return `${texts.join(', ')} MiB`;
}
