import { runClients } from './clients';
import type { TracedRating } from './ratings-file';
import { createNamed, type ReplayOptions } from './replay';
import type { World } from './world';

/** Ratings per request, so per transaction. */
const ROWS = 10;

/** Writes the ratings in their order, as far as clients that work at the same time have one. */
export async function replayTrace(
  ratings: readonly TracedRating[],
  world: World,
  options: ReplayOptions,
): Promise<void> {
  const { http, tally, clients, signal, onProgress } = options;
  const users = await createParents(options, '/users', ratings, 'user');
  const movies = await createParents(options, '/movies', ratings, 'movie');
  world.users.add(...users.values());
  world.movies.add(...movies.values());
  let next = 0;
  await runClients(clients, async () => {
    const batch = takeBatch(ratings, next);
    next += batch.length;
    if (batch.length === 0 || signal.aborted) return false;
    await http.send('PUT', '/ratings', {
      ratings: batch.map(({ user, movie, value }) => ({ userId: users.get(user), movieId: movies.get(movie), value })),
    });
    tally.wrote('Rating', batch.length);
    onProgress(tally.total, ratings.length);
    return true;
  });
}

/** A file's keys → the ids that the service gave them. */
async function createParents(
  options: ReplayOptions,
  path: string,
  ratings: readonly TracedRating[],
  key: 'user' | 'movie',
): Promise<Map<string, number>> {
  const keys = [...new Set(ratings.map((rating) => rating[key]))];
  const names = keys.map((each) => `${key} ${each}`);
  const ids = await createNamed(options, path, names);
  return new Map(keys.map((each, i) => [each, ids[i] ?? 0]));
}

/** The next ratings, up to one that rates again what this batch rates: one statement writes a row once. */
function takeBatch(ratings: readonly TracedRating[], first: number): readonly TracedRating[] {
  const seen = new Set<string>();
  let end = first;
  for (; end < Math.min(first + ROWS, ratings.length); end++) {
    const { user, movie } = ratings[end] as TracedRating;
    if (seen.has(`${user} ${movie}`)) break;
    seen.add(`${user} ${movie}`);
  }
  return ratings.slice(first, end);
}
