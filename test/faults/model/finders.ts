import { EPOCH, raiseEpoch, requestRepair } from './calls';
import { type Actor, crash, type Step, type World } from './scenario';
import { type Finder, IDLE_FINDER, type State } from './state';

/** Whoever finds that Redis lost its data, or went back in time: `sweepEpochs`, then `rebuild`. */
export const finders: Actor = (state, world) =>
  state.finders.flatMap((finder, i) => [
    ...proceed(state, finder, world, i),
    ...(state.left.crashes > 0 && finder.at !== 'idle' ? [die(i)] : []),
  ]);

function step(i: number, what: string, change: (own: Finder, state: State) => void): Step {
  return { name: `f${i + 1} ${what}`, change: (state) => change(state.finders[i] as Finder, state) };
}

function end(state: State, i: number): void {
  if (state.sql.lock === i + 1) state.sql.lock = 0;
  state.finders[i] = IDLE_FINDER;
}

function proceed(state: State, finder: Finder, world: World, i: number): Step[] {
  const isLocked = state.sql.lock > 0;
  switch (finder.at) {
    case 'idle':
      return i === 0 || state.left.looks > 0 ? look(state, world, i) : [];
    case 'adopt life':
      return isLocked && finder.life !== state.sql.life ? [] : [adoptLife(i)];
    case 'compare':
      return [compare(i)];
    case 'adopt':
      return isLocked ? [] : [adopt(i)];
    case 'commit':
      return [commit(i, world)];
    case 'raise':
      return [raise(finder, i)];
    case 'rebuild':
    case 'request':
    case 'note':
      return rebuild(finder, i, world);
  }
}

/**
 * The first finder looks whenever there is something to find. The second one does a bounded number of times, also when
 * nothing is lost yet: two that never rest could keep one step behind each other for ever.
 */
function look({ life, sql }: State, { scenario }: World, i: number): Step[] {
  const noticed = scenario.without === 'incarnation' ? sql.life : life;
  const change = (state: State, epoch: unknown) => {
    const isWrong = noticed !== sql.life || epoch !== sql.epoch || sql.rebuilding;
    if (i === 0 && !isWrong) return false;
    if (i > 0) state.left.looks -= 1;
    Object.assign(state.finders[i] as Finder, { at: 'adopt life', life: noticed });
    return undefined;
  };
  return [{ name: `f${i + 1} reads the incarnation`, call: EPOCH, mishap: i > 0, change }];
}

/** Two transactions, with nothing in between that matters: what is read may be old when it is used, and is read again. */
function adoptLife(i: number): Step {
  return step(i, 'compares the incarnation with that in SQL, and reads what SQL knows of the shard', (own, { sql }) => {
    if (own.life !== sql.life) {
      sql.epoch += 1;
      sql.life = own.life;
    }
    Object.assign(own, { at: 'compare', epoch: sql.epoch, rebuilding: sql.rebuilding, life: 0 });
  });
}

function compare(i: number): Step {
  return {
    name: `f${i + 1} reads the epoch in Redis`,
    call: EPOCH,
    change: (state, epoch) => {
      const own = state.finders[i] as Finder;
      const { rebuilding } = own;
      if (epoch !== own.epoch) Object.assign(own, { at: 'adopt', epoch: 0 });
      else if (rebuilding) Object.assign(own, { at: 'rebuild', epoch: 0, rebuilding: false });
      else end(state, i);
    },
  };
}

/** Locks the shard's row, and asks Redis again. */
function adopt(i: number): Step {
  return {
    name: `f${i + 1} locks the shard's row and reads the epoch in Redis`,
    call: EPOCH,
    change: (state, epoch) => {
      const own = state.finders[i] as Finder;
      if (epoch !== state.sql.epoch) {
        state.sql.lock = i + 1;
        Object.assign(own, { at: 'commit', epoch: epoch ?? 0, rebuilding: false });
      } else if (own.rebuilding) Object.assign(own, { at: 'rebuild', rebuilding: false });
      else end(state, i);
    },
  };
}

function commit(i: number, { scenario }: World): Step {
  return step(i, 'raises the epoch in SQL', (own, { sql }) => {
    sql.epoch = Math.max(sql.epoch, own.epoch) + 1;
    sql.rebuilding = scenario.without !== 'rebuilding is noted';
    sql.lock = 0;
    Object.assign(own, { at: 'raise', epoch: sql.epoch });
  });
}

function raise({ epoch }: Finder, i: number): Step {
  return {
    name: `f${i + 1} raises the epoch in Redis`,
    call: raiseEpoch(epoch),
    change: (state) => void Object.assign(state.finders[i] as Finder, { at: 'rebuild', epoch: 0 }),
  };
}

/** One transaction, which holds the shard's row: list the targets, request, note how far that has come. */
function rebuild({ at, barrier }: Finder, i: number, { nextTransaction, scenario }: World): Step[] {
  if (at === 'rebuild') {
    const allocate = step(i, 'lists the targets and allocates a barrier', (own, state) => {
      // Passed over when another has it.
      const isNoted = state.sql.rebuilding || scenario.without === 'rebuilding is noted';
      if (!isNoted || state.sql.lock > 0) return end(state, i);
      state.sql.lock = i + 1;
      Object.assign(own, { at: 'request', barrier: nextTransaction(state) });
    });
    return [allocate];
  }
  if (at === 'request') {
    const bar = scenario.without === 'barrier of a rebuilding' ? 0 : barrier;
    const change = (state: State) => void ((state.finders[i] as Finder).at = 'note');
    return [{ name: `f${i + 1} requests the recalculation`, call: requestRepair(bar), change }];
  }
  const note = step(i, 'notes that all is requested', (_, state) => {
    state.sql.rebuilding = false;
    end(state, i);
  });
  return [note];
}

/** Its transaction, if it is in one, is rolled back. */
function die(i: number): Step {
  return crash(`f${i + 1} dies`, (state) => end(state, i));
}
