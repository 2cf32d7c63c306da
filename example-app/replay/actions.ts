import type { HttpClient } from './http-client';
import { COMMENT_ACTIONS } from './comment-actions';
import { OPINION_ACTIONS } from './opinion-actions';
import { POST_ACTIONS } from './post-actions';
import type { Random } from './random';
import type { Tally } from './tally';
import type { World } from './world';

/** What an action works with. */
export interface ActionContext {
  readonly http: HttpClient;
  readonly world: World;
  readonly random: Random;
  readonly tally: Tally;
}

/** One thing a client does, and how often compared to the others. */
export interface Action {
  readonly weight: number;
  /** Whether there is anything to do it to; default: always. */
  readonly possible?: (world: World) => boolean;
  readonly run: (context: ActionContext) => Promise<void>;
}

const ACTIONS: readonly Action[] = [...POST_ACTIONS, ...COMMENT_ACTIONS, ...OPINION_ACTIONS];

/** Chooses by weight among what is possible. */
export function chooseAction({ world, random }: ActionContext): Action {
  const possible = ACTIONS.filter((action) => action.possible?.(world) ?? true);
  let left = random.next() * possible.reduce((sum, { weight }) => sum + weight, 0);
  const chosen = possible.find(({ weight }) => (left -= weight) < 0) ?? possible[0];
  if (chosen === undefined) throw new Error('there is nothing to do');
  return chosen;
}
