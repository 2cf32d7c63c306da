import { DUE_RECALCULATIONS, finalize, acquire } from './calls';
import { type Actor, crash, type Step, type World } from './scenario';
import { IDLE_RECALCULATOR, minus, openTransactions, plus, type Recalculator, type State } from './state';

/** The token of a lease that has just begun, until it is given a name. */
const NEXT_TOKEN = 'token-0';

/** List, horizon, lease, read, finalize. */
export const recalculators: Actor = (state, world) =>
  state.recalculators.flatMap((recalculator, i) => [
    ...proceed(recalculator, world, i),
    ...(state.left.visits > 0 && recalculator.at === 'idle' ? visit(i, world) : []),
    ...(state.left.crashes > 0 && recalculator.at !== 'idle' ? [die(i)] : []),
  ]);

function step(i: number, what: string, change: (own: Recalculator, state: State) => void): Step {
  return { name: `r${i + 1} ${what}`, change: (state) => change(state.recalculators[i] as Recalculator, state) };
}

function end(i: number) {
  return (state: State): void => void (state.recalculators[i] = IDLE_RECALCULATOR);
}

function proceed(own: Recalculator, world: World, i: number): Step[] {
  switch (own.at) {
    case 'idle':
      return [list(i, world)];
    case 'acquire':
      return [startAcquire(own, i, world)];
    case 'read':
      return [step(i, 'reads', (recalculator, state) => read(recalculator, state, world))];
    case 'finalize':
      return own.read === null ? [] : [finish(own, i, world)];
    case 'retry':
      return [
        step(i, 'makes due again what the outbox had refused', (_, state) => {
          const { sql } = state;
          if (sql.parked !== null) sql.waiting = sql.waiting === null ? sql.parked : plus(sql.waiting, sql.parked);
          sql.parked = null;
          end(i)(state);
        }),
      ];
  }
}

/**
 * The horizon is read right after: what others do in between could as well be done before (in SQL) or after (in Redis).
 */
function list(i: number, { nextTransaction }: World): Step {
  return {
    name: `r${i + 1} lists what is due and reads the horizon`,
    call: DUE_RECALCULATIONS,
    change: (state, repair) => {
      if (repair === null) return false;
      const horizon = openTransactions(state)[0] ?? nextTransaction(state);
      state.recalculators[i] = { ...IDLE_RECALCULATOR, at: 'acquire', repair: repair === true, horizon };
      return undefined;
    },
  };
}

/** Nobody asked for it, and no request is fulfilled by it. */
function visit(i: number, { nextTransaction }: World): Step[] {
  return (['by hand', 'verify'] as const).map((purpose) => ({
    name: `r${i + 1} reads the horizon, to recalculate ${purpose === 'verify' ? 'without a change' : purpose}`,
    mishap: true,
    change: (state) => {
      state.left.visits -= 1;
      const horizon = openTransactions(state)[0] ?? nextTransaction(state);
      state.recalculators[i] = { ...IDLE_RECALCULATOR, at: 'acquire', purpose, repair: true, horizon };
    },
  }));
}

function startAcquire({ repair, horizon }: Recalculator, i: number, world: World): Step {
  return {
    name: `r${i + 1} acquires`,
    call: acquire(NEXT_TOKEN, horizon, !repair),
    change: (state, outcome) => {
      if (outcome !== 'acquired') return end(i)(state);
      const token = world.freshName(state, 'token');
      state.redis = world.redis.named(state.redis, token, NEXT_TOKEN);
      Object.assign(state.recalculators[i] as Recalculator, { at: 'read', token, horizon: 0 });
    },
  };
}

function read(own: Recalculator, state: State, { scenario, nextTransaction }: World): void {
  const { column, truth, waiting, parked } = state.sql;
  const zero = truth.map(() => 0);
  const outbox = scenario.without === 'outboxSum' ? zero : plus(waiting ?? zero, parked ?? zero);
  const lacking = minus(minus(truth, column), outbox);
  own.at = 'finalize';
  own.refused = parked !== null;
  own.read = {
    missing: own.repair ? lacking : lacking.slice(0, 1),
    xmax: nextTransaction(state),
    inProgress: openTransactions(state),
  };
}

function finish({ purpose, token, read: result, refused }: Recalculator, i: number, { scenario }: World): Step {
  if (result === null) throw new Error('nothing was read');
  return {
    name: `r${i + 1} finalizes`,
    call: finalize(token, result, scenario.scheduled ? 0 : null, purpose),
    change: (state) => {
      if (refused && purpose !== 'verify') state.recalculators[i] = { ...IDLE_RECALCULATOR, at: 'retry' };
      else end(i)(state);
    },
  };
}

function die(i: number): Step {
  return crash(`r${i + 1} dies`, end(i));
}
