import { DriftError } from 'typeorm-counter-cache/testing';
import { CounterCacheError } from 'typeorm-counter-cache';

import { Author, Post } from '../blog';
import { type Attached, attached, served } from './attached';

describe.each(['inline', 'with servers'])('expectNoDrift(), %s', (kind) => {
  let here: Attached;
  beforeAll(async () => {
    here = await attached([Author, Post], kind === 'inline' ? { inline: true } : { ...served(), wait: 60_000 });
  });
  afterAll(() => here.close());

  async function drift(): Promise<DriftError> {
    const error: unknown = await here.counters.expectNoDrift().then(
      () => null,
      (found: unknown) => found,
    );
    expect(error).toBeInstanceOf(DriftError);
    expect(error).toBeInstanceOf(CounterCacheError);
    return error as DriftError;
  }

  test('applies what waits, and finds nothing wrong', async () => {
    const { manager } = here.dataSource;
    const authors = await manager.save(
      Author,
      Array.from({ length: 14 }, () => ({ name: 'a' })),
    );
    await manager.insert(
      Post,
      authors.map(({ id }) => ({ authorId: id, likes: 2 })),
    );
    await here.counters.expectNoDrift();
    expect(await manager.findBy(Author, { postsCount: 1, likesSum: 2 })).toHaveLength(14);
  });

  test('a column that was changed by hand is listed with both values, and stays as it is', async () => {
    await here.dataSource.query('UPDATE author SET "likesSum" = 9 WHERE id = 3');
    const error = await drift();
    expect(error).toMatchObject({
      code: 'DRIFT',
      name: 'DriftError',
      count: 1,
      drifts: [{ entity: 'Author', id: '3', column: 'likesSum', wrong: '9', right: '2' }],
    });
    expect(error.message).toContain('  - Author 3: expected likesSum to be 2, got: 9 (');
    expect(error.message).not.toContain('more');
    expect((await drift()).count).toBe(1);
    await here.counters.recalculate();
    await here.counters.expectNoDrift();
  });

  test('raw SQL that was not tracked: the first ten, and how many more', async () => {
    await here.dataSource.query('DELETE FROM post');
    const error = await drift();
    expect(error.count).toBe(28);
    expect(error.drifts).toHaveLength(28);
    expect(error.message.match(/^ {2}- Author \d+: expected \w+ to be 0, got: \d/gm)).toHaveLength(10);
    expect(error.message).toContain('and 18 more');
    await here.counters.recalculate();
    await here.counters.expectNoDrift();
  });

  test('a write that was skipped', async () => {
    await here.counters.skip(() => here.dataSource.manager.insert(Post, { authorId: 5 }));
    expect((await drift()).drifts).toMatchObject([{ id: '5', column: 'postsCount', wrong: '0', right: '1' }]);
    await here.counters.recalculate();
  });

  test('flushAll() checks its options', async () => {
    await expect(here.counters.flushAll({ timeout: 0 })).rejects.toMatchObject({ code: 'CONFIGURATION' });
    await expect(here.counters.flushAll({ timeuot: 5 } as never)).rejects.toMatchObject({ code: 'CONFIGURATION' });
    expect(here.errors).toEqual([]);
  });
});
