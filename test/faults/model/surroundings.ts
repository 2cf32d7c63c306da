import { batchesOf } from './identity';
import { type Actor, crash, type Step } from './scenario';
import { plus, type State } from './state';

/** What comes over everybody: time, the outbox's timer, losses of Redis. */
export const surroundings: Actor = (state, { redis }) => {
  const steps: Step[] = [];
  const { left, sql } = state;
  const acquired = state.recalculators.filter(
    ({ token }) => token !== '' && redis.namesOf(state.redis).includes(token),
  );
  const expire = (next: State) => void (next.redis = redis.later(next.redis));
  if (acquired.length === 0) steps.push({ name: 'a lease expires', change: expire });
  else if (left.crashes > 0) steps.push(crash('a lease expires under a slow recalculation', expire));
  if (sql.waiting !== null && sql.parked === null) steps.push(...drain(state));
  if (sql.parked !== null) steps.push({ name: 'somebody retries what the outbox had refused', change: retry });
  if (left.wipes > 0) steps.push(loss('Redis loses its data', (next) => void (next.left.wipes -= 1), redis.empty));
  if (left.purges > 0) {
    const change = (next: State) => {
      next.left.purges -= 1;
      next.sql.old = batchesOf(next, redis);
      next.sql.ledger = {};
    };
    steps.push({ name: 'the ledger forgets all batches', mishap: true, change });
  }
  if (left.saves > 0) {
    const change = (next: State) => {
      next.left.saves -= 1;
      next.saved = next.redis;
    };
    steps.push({ name: 'Redis saves a snapshot', mishap: true, change });
  }
  if (left.rewinds > 0 && state.saved >= 0) {
    const rewind = (next: State) => {
      next.left.rewinds -= 1;
      next.life += 1;
    };
    steps.push(loss('Redis goes back to its snapshot', rewind, state.saved));
  }
  return steps;
};

function loss(name: string, change: (state: State) => void, to: number): Step {
  return {
    name,
    mishap: true,
    change: (state) => {
      change(state);
      state.redis = to;
    },
  };
}

function drain({ left }: State): Step[] {
  const applied: Step = {
    name: 'the outbox is drained',
    change: ({ sql }) => {
      sql.column = plus(sql.column, sql.waiting ?? []);
      sql.waiting = null;
    },
  };
  const refused: Step = {
    name: 'what the outbox holds is refused',
    change: (state) => {
      state.left.refusals -= 1;
      state.sql.parked = state.sql.waiting;
      state.sql.waiting = null;
    },
  };
  return left.refusals > 0 ? [applied, refused] : [applied];
}

function retry({ sql }: State): void {
  sql.waiting = sql.waiting === null ? sql.parked : plus(sql.waiting, sql.parked ?? []);
  sql.parked = null;
}
