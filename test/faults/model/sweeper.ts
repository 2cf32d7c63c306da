import { STALE_INTENTS, sweepIntents } from './calls';
import type { Actor, Step } from './scenario';
import { IDLE_SWEEPER, type State } from './state';

/** Finds stale intents, then allocates a barrier, then drops them. */
export const sweeper: Actor = (state, { scenario, nextTransaction }) => {
  const { at, ids, barrier } = state.sweeper;
  if (at === 'idle') return (scenario.early ? [false, true] : [false]).map((early) => list(early, nextTransaction));
  const change = (next: State) => void (next.sweeper = IDLE_SWEEPER);
  return [
    { name: `sweep drops ${ids.length === 1 ? 'an intent' : 'intents'}`, call: sweepIntents(ids, barrier), change },
  ];
};

/**
 * Those of writers that are gone; early, those of slow ones as well. The barrier is allocated right after: what others do
 * in between could as well be done before (in SQL) or after (in Redis).
 */
function list(early: boolean, nextTransaction: (state: State) => number): Step {
  return {
    name: early
      ? 'sweep lists intents, some too early, and allocates a barrier'
      : 'sweep lists stale intents and allocates a barrier',
    call: STALE_INTENTS,
    change: (state, reply) => {
      const working = new Set(state.writers.filter(isWorking).map(({ id }) => id));
      const slow = (reply as number[]).filter((id) => working.has(id));
      const gone = (reply as number[]).filter((id) => !working.has(id));
      if ((early ? slow : gone).length === 0) return false;
      state.sweeper = { at: 'sweep', ids: early ? (reply as number[]) : gone, barrier: nextTransaction(state) };
      return undefined;
    },
  };
}

function isWorking({ at, errands }: State['writers'][number]): boolean {
  return at !== 'ended' || errands.length > 0;
}
