import type { QueryRunner } from 'typeorm';
import type { CountersOptions, Mode } from 'typeorm-counter-cache';

import { Author, Post } from '../../integration/blog';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { full, tell } from './form';

const LOCKED_FOR = full(20_000, 3_000);

/** One shard: whatever the locked row holds up would hold up the others. */
const TIMES = { shards: 1, wait: 200, window: 100, sweepInterval: 1_500 } as const;

/** I4. */
const IN_TIME = TIMES.wait + TIMES.window + TIMES.sweepInterval;

/** A row that was locked is tried again after 500 ms. */
const BACKOFF = 500;

const AUTHORS = 20;

let fixture: Fixture;
let ids: number[];
let runner: QueryRunner;

async function start(mode: Mode, options: Partial<CountersOptions> = {}): Promise<void> {
  const counters = { ...TIMES, mode, ...options };
  fixture = await setup({ entities: [Author, Post], counters, worker: true });
  const authors = Array.from({ length: AUTHORS }, () => ({ name: 'a' }));
  ids = (await fixture.dataSource.manager.save(Author, authors)).map(({ id }) => id);
  runner = fixture.dataSource.createQueryRunner();
}
afterEach(async () => {
  expect(fixture.errors).toEqual([]);
  await fixture.close();
});

/** As an UPDATE of the row by another program does: children can still be inserted. */
async function lock(id: number): Promise<void> {
  await runner.query('BEGIN');
  await runner.query('SELECT id FROM author WHERE id = $1 FOR NO KEY UPDATE', [id]);
}

async function unlock(): Promise<void> {
  await runner.query('ROLLBACK');
  await runner.release();
}

async function counts(): Promise<number[]> {
  const authors = await fixture.dataSource.manager.find(Author, { order: { id: 'ASC' } });
  return authors.map(({ postsCount }) => postsCount);
}

/** One post for every author; returns after how many ms every count but the locked one was right. */
async function writeRound(round: number): Promise<number> {
  await fixture.dataSource.manager.insert(
    Post,
    ids.map((authorId) => ({ authorId })),
  );
  const since = performance.now();
  await until(async () => (await counts()).slice(1).every((count) => count === round));
  return performance.now() - since;
}

test.each(['buffered', 'outbox'] as const)(
  'I4, %s: a row that somebody keeps locked holds up no other of its shard, and is applied after its lock is gone',
  async (mode) => {
    await start(mode);
    await lock(ids[0] ?? 0);
    const end = performance.now() + LOCKED_FOR;
    const times: number[] = [];
    while (performance.now() < end) times.push(await writeRound(times.length + 1));
    expect((await counts())[0]).toBe(0);
    await unlock();
    const since = performance.now();
    await until(async () => (await counts())[0] === times.length);
    const after = performance.now() - since;
    tell(`locked parent, ${mode}: ${times.length} rounds, slowest ${ms(Math.max(...times))}, then ${ms(after)}`);
    expect(Math.max(...times)).toBeLessThan(IN_TIME);
    expect(after).toBeLessThan(BACKOFF + TIMES.window + TIMES.sweepInterval);
    expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
  },
);

test.each(['buffered', 'outbox'] as const)(
  '%s: a row that was locked is tried again by a wake-up, long before a sweep would find it',
  async (mode) => {
    await start(mode, { sweepInterval: 600_000 });
    await lock(ids[0] ?? 0);
    await writeRound(1);
    expect((await counts())[0]).toBe(0);
    await unlock();
    await until(async () => (await counts())[0] === 1);
    expect((await fixture.counters.status()).failed).toEqual([]);
  },
);

function ms(time: number): string {
  return `${Math.round(time)} ms`;
}
