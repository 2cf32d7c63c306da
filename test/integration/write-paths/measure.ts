import { clear, countAll, type Counted, wrongOf } from './truth';
import type { Sent, Wire } from './wire';
import type { Worlds } from './worlds';
import type { Capture, WritePath } from './write-path';

/** What a write sent beyond what it sends without counters. */
export interface Extra {
  /** Statements before COMMIT, without those that begin or end a transaction. */
  readonly queries: number;
  /** Statements after COMMIT; nobody waits for them. */
  readonly afterCommit: number;
  /** Transactions around statements that had none. */
  readonly transactions: number;
  /** Calls to Redis that COMMIT waits for. */
  readonly awaited: number;
  /** Calls to Redis after COMMIT. */
  readonly later: number;
}

/** One write, measured. */
export interface Measured {
  readonly extra: Extra;
  readonly captured: readonly Capture[];
}

const BOUNDS = /^(?:START TRANSACTION|BEGIN|COMMIT|ROLLBACK)\b(?! TO\b| PREPARED\b)/;

/** Statements of one write without counters, and what counters would be after it. */
interface Plain {
  readonly sent: Sent;
  readonly truths: readonly string[];
}

export async function measurePlain({ plain }: Worlds, wire: Wire, path: WritePath): Promise<Plain> {
  await clear(plain.dataSource);
  const write = await path.run(plain);
  const sent = await sentBy(wire, write, async () => undefined);
  await path.undo?.(plain);
  return { sent, truths: truthsOf(await countAll(plain.dataSource)) };
}

/** Makes the write with counters, compares, and expects the columns to be what the path says they will be. */
export async function measure(worlds: Worlds, wire: Wire, path: WritePath, plain: Plain): Promise<Measured> {
  const { counted } = worlds;
  await clear(counted.dataSource);
  const write = await path.run(counted);
  await worlds.settle();
  expectRight(await countAll(counted.dataSource));
  const sent = await sentBy(wire, write, () => worlds.settled());
  const recounts = await worlds.recounts();
  await path.undo?.(counted);
  // Deltas alone make it right, or the recounts that the write asks for.
  await (recounts > 0 ? worlds.settle() : worlds.flush());
  const columns = await countAll(counted.dataSource);
  expect(truthsOf(columns)).toEqual(plain.truths);
  await (path.unseen === true ? expectUnseen(worlds, columns) : expectRight(columns));
  expectAwaitedCalls(sent);
  return { extra: compare(sent, plain.sent), captured: capturedBy(sent.sql, recounts) };
}

async function sentBy(wire: Wire, write: () => Promise<unknown>, settled: () => Promise<void>): Promise<Sent> {
  wire.take();
  await write();
  await settled();
  return wire.take();
}

function truthsOf(columns: readonly Counted[]): string[] {
  return columns.map(({ column, truth }) => `${column} ${truth}`);
}

function expectRight(columns: readonly Counted[]): void {
  expect(wrongOf(columns)).toEqual([]);
}

/** Wrong until a recalculation. */
async function expectUnseen({ recalculate, counted }: Worlds, columns: readonly Counted[]): Promise<void> {
  expect(wrongOf(columns)).not.toEqual([]);
  await recalculate();
  expectRight(await countAll(counted.dataSource));
}

/** What is announced is announced before COMMIT, and nothing else is; wake-ups go to no server here. */
function expectAwaitedCalls({ sql, scripts, scriptsBeforeCommit, commands }: Sent): void {
  expect(commands).toEqual([]);
  const isOne = sql.filter((one) => one.startsWith('COMMIT')).length === 1;
  if (isOne) expect(scripts.slice(0, scriptsBeforeCommit)).toEqual(scripts.filter((name) => name === 'announce'));
}

function compare(sent: Sent, plain: Sent): Extra {
  const bounds = ({ sql }: Sent): number => sql.filter((one) => BOUNDS.test(one)).length;
  const all = sent.sql.length - plain.sql.length;
  const afterCommit = sent.afterCommit - plain.afterCommit;
  const transactions = (bounds(sent) - bounds(plain)) / 2;
  const awaited = sent.scripts.filter((name) => name === 'announce').length;
  return {
    queries: all - 2 * transactions - afterCommit,
    afterCommit,
    transactions,
    awaited,
    later: sent.scripts.length - awaited,
  };
}

/** Tells by what was sent how a write was captured. */
function capturedBy(sql: readonly string[], recounts: number): Capture[] {
  const some = (pattern: RegExp): boolean => sql.some((one) => pattern.test(one));
  const isTracked = some(/"__cc_n0"[^]* FOR UPDATE OF /);
  const locks = !isTracked && some(/^SELECT [^]*"__cc_n0"[^]* FOR UPDATE$/);
  const isProbed = some(/^SAVEPOINT counter_cache_upsert$/);
  const deletes = some(/DELETE FROM [^]* RETURNING [^]*"__cc_n0"/);
  const inserts = sql.some((one) => /^INSERT INTO [^]*"__cc_n0"/.test(one) && !one.includes('"__cc_o0"'));
  const found: Record<Capture, boolean> = {
    'returned rows': (inserts && !isProbed) || (deletes && !locks),
    'old and new rows': some(/"__cc_o0"/) || some(/UPDATE [^]* RETURNING [^]*"__cc_n0"/) || isProbed,
    cascade: deletes && locks,
    path: some(/ WITH ORDINALITY AS k/),
    track: isTracked,
    recount: recounts > 0,
  };
  return (Object.keys(found) as Capture[]).filter((name) => found[name]);
}
