import { FIRST_TRANSACTION } from './canonical';
import type { RedisStates } from './redis-states';
import type { Recalculator, State, Worker } from './state';

/** A transaction id, or a snapshot's end, above all that a state mentions. */
export function nextTransaction(state: State, redis: RedisStates): number {
  return Math.max(FIRST_TRANSACTION - 1, ...mentioned(state, redis)) + 1;
}

/** A name of a batch or a token that a state does not mention. */
export function freshName(state: State, kind: 'batch' | 'token', redis: RedisStates): string {
  const tokens = state.recalculators.map(({ token }) => token);
  const stored = dumpsOf(state).flatMap((dump) => redis.namesOf(dump));
  const taken = new Set([...batchesOf(state, redis), ...tokens, ...stored]);
  for (let i = 1; ; i++) if (!taken.has(`${kind}-${i}`)) return `${kind}-${i}`;
}

/** A state that can be changed without changing the other; arrays in it are never changed, only replaced. */
export function copyOf(state: State): State {
  return {
    ...state,
    sql: { ...state.sql, ledger: { ...state.sql.ledger } },
    writers: state.writers.map((writer) => ({ ...writer })),
    worker: { ...state.worker },
    zombie: { ...state.zombie },
    recalculators: state.recalculators.map((recalculator) => ({ ...recalculator })),
    sweeper: { ...state.sweeper },
    finders: state.finders.map((finder) => ({ ...finder })),
    left: { ...state.left },
  };
}

/**
 * Forgets what nobody can tell any more, and numbers transactions from one on in their order, so that states which differ
 * in nothing else are one.
 */
export function normalize(state: State, redis: RedisStates): void {
  forget(state, redis);
  const ids = mentioned(state, redis);
  if (ids.every((id, i) => id === FIRST_TRANSACTION + i)) return;
  const numbers = new Map(ids.map((id, i) => [id, FIRST_TRANSACTION + i] as const));
  replaceTransactions(state, (id) => numbers.get(id) ?? id);
  state.redis = redis.renumbered(state.redis, numbers);
  if (state.saved >= 0) state.saved = redis.renumbered(state.saved, numbers);
}

/** The text that a state is known by. Written out, since it is what an exploration spends its time on. */
export function identityOf(state: State): string {
  const { sql, left, sweeper } = state;
  let text = `${state.redis} ${state.saved} ${state.life}|${sql.column.join()} ${sql.truth.join()} `;
  text += `${sql.waiting?.join() ?? ''} ${sql.parked?.join() ?? ''} ${sql.epoch} ${sql.rebuilding} ${sql.life} ${sql.lock}|`;
  for (const batch in sql.ledger) text += `${batch} ${sql.ledger[batch]} `;
  text += `${sql.old.join()}|`;
  for (const { at, id, via, errands, late } of state.writers) text += `${at} ${id} ${via} ${errands.join()} ${late};`;
  text += `|${textOf(state.worker)}|${textOf(state.zombie)}|`;
  for (const recalculator of state.recalculators) text += recalculatorText(recalculator);
  text += sweeper.at === 'idle' ? '|' : `${sweeper.ids.join()} ${sweeper.barrier}|`;
  for (const { at, life, epoch, rebuilding, barrier } of state.finders)
    text += at === 'idle' ? ';' : `${at} ${life} ${epoch} ${rebuilding} ${barrier};`;
  const { crashes, wipes, saves, rewinds, locks, refusals, purges, visits, looks } = left;
  return `${text}|${crashes} ${wipes} ${saves} ${rewinds} ${locks} ${refusals} ${purges} ${visits} ${looks}`;
}

function textOf({ at, batches, outcome }: Worker): string {
  if (at === 'idle') return '';
  let text = `${at} ${outcome}`;
  for (const { id, epoch, amounts } of batches) text += ` ${id} ${epoch} ${amounts.join()}`;
  return text;
}

function recalculatorText({ at, purpose, repair, horizon, token, read, refused }: Recalculator): string {
  if (at === 'idle') return ';';
  const result = read === null ? '' : `${read.missing.join()} ${read.xmax} ${read.inProgress.join()}`;
  return `${at} ${purpose} ${repair} ${horizon} ${token} ${result} ${refused};`;
}

function dumpsOf({ redis, saved }: State): number[] {
  return saved >= 0 ? [redis, saved] : [redis];
}

/** Calls `replace` for every id of a transaction, and puts its result there. */
function replaceTransactions(state: State, replace: (id: number) => number): void {
  const known = (id: number): number => (id === 0 ? 0 : replace(id));
  for (const writer of state.writers) writer.id = known(writer.id);
  for (const recalculator of state.recalculators) {
    recalculator.horizon = known(recalculator.horizon);
    const { read } = recalculator;
    if (read === null) continue;
    const [xmax, inProgress] = [known(read.xmax), read.inProgress.map(known)];
    recalculator.read = { missing: read.missing, xmax, inProgress };
  }
  if (state.sweeper.at === 'idle') return replaceInFinders(state, known);
  state.sweeper.ids = state.sweeper.ids.map(known);
  state.sweeper.barrier = known(state.sweeper.barrier);
  replaceInFinders(state, known);
}

function replaceInFinders({ finders }: State, replace: (id: number) => number): void {
  for (const finder of finders) finder.barrier = replace(finder.barrier);
}

/** Ascending, each once. */
function mentioned(state: State, redis: RedisStates): number[] {
  const ids = [...redis.transactionsOf(state.redis)];
  if (state.saved >= 0) ids.push(...redis.transactionsOf(state.saved));
  replaceTransactions(state, (id) => {
    ids.push(id);
    return id;
  });
  return [...new Set(ids)].toSorted((a, b) => a - b);
}

function forget(state: State, redis: RedisStates): void {
  if (state.left.rewinds === 0) state.saved = -1;
  for (const writer of state.writers) {
    if (writer.at !== 'ended' || writer.errands.length > 0 || writer.late !== null) continue;
    writer.id = 0;
    writer.via = 'nothing';
  }
  forgetBatches(state, redis);
  if (state.recalculators.every(({ read }) => read === null)) return;
  const writing = state.writers.map(({ id }) => id);
  const stored = dumpsOf(state).flatMap((dump) => redis.transactionsOf(dump));
  const alive = new Set([...writing, ...stored]);
  for (const recalculator of state.recalculators) {
    const { read } = recalculator;
    if (read === null) continue;
    recalculator.read = { ...read, inProgress: read.inProgress.filter((id) => alive.has(id)) };
  }
}

/** A batch that nobody holds is never applied again: its id is random. */
function forgetBatches(state: State, redis: RedisStates): void {
  const { sql } = state;
  const entries = Object.entries(sql.ledger);
  if (entries.length + sql.old.length === 0) return;
  const alive = new Set(batchesOf(state, redis));
  sql.ledger = Object.fromEntries(entries.filter(([id]) => alive.has(id)).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  sql.old = sql.old.filter((id) => alive.has(id)).toSorted();
}

/** Batches that somebody holds, or that Redis knows of, or may know of again. */
export function batchesOf(state: State, redis: RedisStates): string[] {
  const held = [...state.worker.batches, ...state.zombie.batches].map(({ id }) => id);
  const stored = dumpsOf(state).flatMap((dump) => redis.namesOf(dump));
  return [...new Set([...held, ...stored.filter((name) => name.startsWith('batch'))])];
}
