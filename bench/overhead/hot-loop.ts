import type { DataSource, QueryRunner } from 'typeorm';

import { compare, interleave, valuesOf, type Variant } from '../rounds';
import { type Estimate, median } from '../statistics';
import { Note, Post } from './entities';

const CALLS = 2_000;

/** What one piece of the library costs when it is all that runs, µs per call. */
export interface HotFigure {
  readonly piece: string;
  readonly attached: number;
  readonly notAttached: number;
  readonly difference: Estimate;
}

type Loops = {
  readonly statement: number;
  readonly transaction: number;
  readonly insert: number;
  readonly update: number;
};

const PIECES: Readonly<Record<keyof Loops, string>> = {
  statement: 'subscriber: one statement',
  transaction: 'subscriber: START TRANSACTION and COMMIT',
  insert: 'hook: an insert into a table that feeds no counter',
  update: 'hook: an update of irrelevant columns',
};

/** Times the pieces without a database, so without the noise of round trips; also without what those evict from caches. */
export async function measureHotLoops(
  attached: DataSource,
  notAttached: DataSource,
  seconds: number,
): Promise<HotFigure[]> {
  if (gateOf(attached) === undefined) throw new Error('the hook is not where it was');
  const runners = [attached.createQueryRunner(), notAttached.createQueryRunner()];
  const [first, second] = runners as [QueryRunner, QueryRunner];
  const variants = [variant('attached', attached, first), variant('not attached', notAttached, second)];
  await interleave(variants, seconds / 5);
  const rounds = await interleave(variants, seconds);
  for (const runner of runners) await runner.release();
  return (Object.keys(PIECES) as (keyof Loops)[]).map((loop) => ({
    piece: PIECES[loop],
    attached: median(valuesOf(rounds, loop, 'attached')),
    notAttached: median(valuesOf(rounds, loop, 'not attached')),
    difference: compare(rounds, loop, 'attached', 'not attached').difference,
  }));
}

function variant(name: string, dataSource: DataSource, runner: QueryRunner): Variant<Loops> {
  const gate = gateOf(dataSource);
  const insert = dataSource.createQueryBuilder().insert().into(Note).values({ text: 'new' });
  const update = dataSource.createQueryBuilder().update(Post).set({ title: 'new' });
  return {
    name,
    sample: async () => ({
      statement: await time(() => broadcast(runner, 'INSERT INTO "note"("text") VALUES ($1)', ['new'])),
      transaction: await time(async () => {
        await broadcast(runner, 'START TRANSACTION');
        await broadcast(runner, 'COMMIT');
      }),
      insert: await time(() => gate?.(insert, execute)),
      update: await time(() => gate?.(update, execute)),
    }),
  };
}

/** What TypeORM's query runner tells subscribers about a statement, before and after it. */
async function broadcast({ broadcaster }: QueryRunner, sql: string, parameters?: unknown[]): Promise<void> {
  await broadcaster.broadcast('BeforeQuery', sql, parameters);
  await broadcaster.broadcast('AfterQuery', sql, parameters, true, 0, { rows: [], command: sql }, undefined);
}

/** Where the library keeps what runs at a builder's `execute` before TypeORM's own. */
const HOOK: unique symbol = Symbol.for('typeorm-counter-cache.hook');

type Gate = (builder: object, execute: () => Promise<object>) => unknown;
type Hooked = DataSource & { readonly [HOOK]?: Gate };

function gateOf(dataSource: Hooked): Gate | undefined {
  return dataSource[HOOK];
}

/** Only a captured write would be executed. */
const execute = (): Promise<object> => Promise.reject(new Error('this write feeds no counter'));

async function time(call: () => unknown): Promise<number> {
  const began = performance.now();
  for (let calls = 0; calls < CALLS; calls++) await call();
  return ((performance.now() - began) * 1_000) / CALLS;
}
