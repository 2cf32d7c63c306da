import { Session } from 'node:inspector/promises';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { type Fixture, setup } from '../support/setup';
import { Author, Post } from '../integration/blog';

const SRC = `${process.cwd()}/src/`;

/** Whoever shortens a walk lowers these: a reader follows it file by file. */
const MOST = { save: 59, recount: 53 };

/** Files of ours that work passes each time; what runs beside it, of its own accord, does not. */
async function walkOf(work: () => Promise<unknown>): Promise<string[]> {
  const [first, ...others] = [await filesOf(work), await filesOf(work), await filesOf(work)];
  return first.filter((file) => others.every((one) => one.includes(file)));
}

/** Files of ours in which a function ran meanwhile. */
async function filesOf(work: () => Promise<unknown>): Promise<string[]> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
    await session.post('Profiler.takePreciseCoverage');
    await work();
    const { result } = await session.post('Profiler.takePreciseCoverage');
    // Test files before this one have loaded the same files, and something of theirs may still run.
    const own = new Map(
      result.toSorted((a, b) => Number(a.scriptId) - Number(b.scriptId)).map((one) => [one.url, one]),
    );
    const ran = [...own.values()].filter(({ functions }) =>
      functions.some(({ ranges }) => ranges.some(({ count }) => count > 0)),
    );
    const paths = ran.map(({ url }) => (url.startsWith('file:') ? fileURLToPath(url) : url));
    return paths
      .filter((path) => path.startsWith(SRC))
      .map((path) => relative(SRC, path))
      .toSorted();
  } finally {
    session.disconnect();
  }
}

describe('the files that a walk passes', () => {
  let fixture: Fixture;
  let author: Author;

  beforeAll(async () => {
    fixture = await setup({ entities: [Author, Post], counters: { sweepInterval: 600_000, wait: 600_000 } });
    author = await fixture.dataSource.manager.save(Author, { name: 'a' });
    await fixture.dataSource.manager.save(Post, { author });
    await fixture.counters.settled();
    await fixture.counters.recalculate();
  });
  afterAll(() => fixture.close());

  test('a plain save(), until the wake-up is set', async () => {
    // Each of another parent, which becomes due.
    const authors = await fixture.dataSource.manager.save(Author, [{ name: 'b' }, { name: 'c' }, { name: 'd' }]);
    const walk = await walkOf(async () => {
      await fixture.dataSource.manager.save(Post, { author: authors.pop() ?? author });
      await fixture.counters.settled();
    });
    expect(walk.length).toBeLessThanOrEqual(MOST.save);
    expect(walk).toEqual(
      expect.arrayContaining(['typeorm/hook.ts', 'publish/delta-publisher.ts', 'schedule/scheduler.ts']),
    );
  });

  test('a recount of one row', async () => {
    const walk = await walkOf(() => fixture.counters.recalculate({ target: Author, ids: [author.id] }));
    expect(walk.length).toBeLessThanOrEqual(MOST.recount);
    expect(walk).toEqual(
      expect.arrayContaining(['recount/recount-targets.ts', 'dialects/postgres/counting/recount.ts']),
    );
  });
});
