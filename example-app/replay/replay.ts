import type { HttpClient } from './http-client';
import type { Tally } from './tally';

/** What both kinds of replay need. */
export interface ReplayOptions {
  readonly http: HttpClient;
  readonly tally: Tally;
  /** Clients at once. */
  readonly clients: number;
  /** Ends the replay early. */
  readonly signal: AbortSignal;
  /** Told after every request. */
  readonly onProgress: (done: number, total: number) => void;
}

const ROWS = 500;

/** Creates parents, many per request; gives their ids in the order of `names`. */
export async function createNamed({ http }: ReplayOptions, path: string, names: readonly string[]): Promise<number[]> {
  const ids: number[] = [];
  for (let first = 0; first < names.length; first += ROWS) {
    const answer = await http.send<{ ids: number[] }>('POST', `${path}/bulk`, {
      names: names.slice(first, first + ROWS),
    });
    ids.push(...(answer?.ids ?? []));
  }
  return ids;
}
