import { acknowledge, CLAIM, type HeldBatch, type Outcome, requestRepair, RETRY_FAILED, TAKE_OVER } from './calls';
import { type Actor, crash, type ResolvedScenario, type Step, type World } from './scenario';
import { IDLE_WORKER, plus, type State } from './state';

type Who = 'worker' | 'zombie';

/** Claim, apply, acknowledge: by a worker, and by a zombie whose batches were taken over while it slept. */
export const workers: Actor = (state, world) => [
  ...(state.worker.at === 'idle' ? [claim(world), takeOver()] : []),
  ...proceed(state, world, 'worker'),
  ...proceed(state, world, 'zombie'),
  ...dieOrStall(state),
  ...retry(world),
];

function claim({ redis, freshName }: World): Step {
  return {
    name: 'worker claims',
    call: CLAIM,
    change: (state, batch) => {
      // What adds up to nothing is taken, and makes no batch.
      if (batch === null) return undefined;
      const id = freshName(state, 'batch');
      state.redis = redis.named(state.redis, id);
      state.worker = { ...IDLE_WORKER, at: 'apply', batches: [{ ...(batch as unknown as HeldBatch), id }] };
      return undefined;
    },
  };
}

/** Anybody may be slow, so any batch may be taken over at any time. */
function takeOver(): Step {
  return {
    name: 'worker takes batches over',
    call: TAKE_OVER,
    change: (state, batches) => {
      const taken = batches as unknown as HeldBatch[];
      if (taken.length === 0) return false;
      state.worker = { ...IDLE_WORKER, at: 'apply', batches: taken };
      return undefined;
    },
  };
}

function proceed(state: State, { scenario }: World, who: Who): Step[] {
  const { at, batches, outcome } = state[who];
  const [batch] = batches;
  if (batch === undefined) return [];
  switch (at) {
    case 'idle':
      return [];
    case 'apply':
      return state.sql.lock > 0 ? [] : apply(state, scenario, who, batch);
    case 'repair':
      return [
        {
          name: `${who} requests the repair of what ${batch.id} held`,
          call: requestRepair(0),
          change: (next) => void (next[who].at = 'acknowledge'),
        },
      ];
    case 'acknowledge':
      return [
        {
          name: `${who} acknowledges ${batch.id}`,
          call: acknowledge(batch.id, scenario.without === 'give back' ? 'applied' : outcome),
          change: (next) => {
            const left = next[who].batches.slice(1);
            next[who] = { ...IDLE_WORKER, at: left.length > 0 ? 'apply' : 'idle', batches: left };
          },
        },
      ];
  }
}

/** One SQL transaction; the row may be locked, or the database refuse it. */
function apply({ left }: State, { without }: ResolvedScenario, who: Who, batch: HeldBatch): Step[] {
  const attempt = (name: string, outcome: Outcome, count: (state: State) => void): Step => ({
    name: `${who} ${name} ${batch.id}`,
    change: (state) => {
      const { sql } = state;
      const worker = state[who];
      const isForgotten = sql.old.includes(batch.id) && sql.ledger[batch.id] === undefined;
      if (isForgotten || (without !== 'fence' && batch.epoch !== sql.epoch)) {
        if (outcome !== 'applied') return false;
        worker.at = without === 'repair of fenced batches' ? 'acknowledge' : 'repair';
        return undefined;
      }
      const known = without === 'ledger' ? undefined : sql.ledger[batch.id];
      if (known !== undefined && outcome !== 'applied') return false;
      Object.assign(worker, { at: 'acknowledge', outcome: known ?? outcome });
      if (known !== undefined) return undefined;
      sql.ledger[batch.id] = outcome;
      if (outcome === 'applied') sql.column = plus(sql.column, batch.amounts);
      count(state);
      return undefined;
    },
  });
  const steps = [attempt('applies', 'applied', () => {})];
  if (left.locks > 0)
    steps.push(attempt('finds the row locked for', 'locked', (state) => void (state.left.locks -= 1)));
  if (left.refusals > 0) steps.push(attempt('is refused', 'refused', (state) => void (state.left.refusals -= 1)));
  return steps;
}

function dieOrStall({ left, worker, zombie }: State): Step[] {
  if (left.crashes === 0 || worker.at === 'idle') return [];
  const die = crash('worker dies', (state) => void (state.worker = IDLE_WORKER));
  const stall = crash('worker stalls, a zombie from now on', (state) => {
    state.zombie = state.worker;
    state.worker = IDLE_WORKER;
  });
  return zombie.at === 'idle' ? [die, stall] : [die];
}

/** Whoever mends what the database refused asks for it again. */
function retry({ scenario }: World): Step[] {
  if (scenario.refusals === 0) return [];
  return [
    {
      name: 'somebody retries what was refused',
      call: RETRY_FAILED,
      change: (_, count) => (count === 0 ? false : undefined),
    },
  ];
}
