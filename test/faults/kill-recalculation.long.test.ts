import { setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from '../integration/blog';
import { ended, type KillPoint, startWorkerProgram } from './programs';

/** A lease whose recalculation died ends by itself after 10 s. */
const PATIENCE = 50_000;

/** Kills a worker at a point of a scheduled recalculation of a wrong column, and lets another one take over. */
async function killAndRecover(killAt: KillPoint): Promise<void> {
  const fixture = await setup({ entities: [Author, Post], counters: { recalculationDelay: 1 } });
  const { manager } = fixture.dataSource;
  const { id } = await manager.save(Author, { name: 'a' });
  const countOf = async () => (await manager.findOneByOrFail(Author, { id })).postsCount;
  const post = () => manager.insert(Post, { authorId: id });
  try {
    for (let i = 0; i < 3; i++) await post();
    await fixture.dataSource.query('UPDATE author SET "postsCount" = 100 WHERE id = $1', [id]);
    await fixture.counters.settled();
    expect(await ended(startWorkerProgram({ databaseUrl: fixture.databaseUrl, killAt }))).toBe('SIGKILL');
    // Under the lease of the dead.
    for (let i = 0; i < 2; i++) await post();
    await fixture.counters.settled();
    const worker = startWorkerProgram({ databaseUrl: fixture.databaseUrl, killAt: 'none' });
    await until(async () => (await countOf()) === 5, PATIENCE);
    await until(async () => {
      const { dirty, batches, intents, recalculations } = await fixture.counters.status();
      return dirty + batches + intents + recalculations === 0;
    }, PATIENCE);
    worker.kill('SIGKILL');
    await ended(worker);
    expect(await countOf()).toBe(5);
    expect(await fixture.counters.verify()).toMatchObject({ checked: 1, fixedCount: 0 });
    expect(fixture.errors).toEqual([]);
  } finally {
    await fixture.close();
  }
}

describe('I6: a worker that is killed while it recalculates', () => {
  // At once, because most of the time is spent waiting for the lease to end.
  test.concurrent.each<KillPoint>(['after-lease', 'before-finalize', 'after-finalize'])(
    '%s leaves either nothing done or an ordinary pending delta',
    killAndRecover,
    2 * PATIENCE,
  );
});
