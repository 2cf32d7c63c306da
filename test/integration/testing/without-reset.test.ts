import type { DataSource } from 'typeorm';
import type { Mode } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { wrongAuthors } from '../outbox/outbox';
import { attached, served } from './attached';
import { EMPTY, OWN } from './emptied';

async function writeAgain({ manager }: DataSource): Promise<number> {
  const { id } = await manager.save(Author, { name: 'new' });
  await manager.insert(Post, { authorId: id, likes: 2 });
  return id;
}

describe.each(Object.keys(EMPTY))('%s, and no reset()', (name) => {
  const empty = EMPTY[name] as (dataSource: DataSource) => Promise<unknown>;

  test('inline: the next commit is right', async () => {
    const here = await attached([Author, Post]);
    const { dataSource, counters, errors } = here;
    await writeAgain(dataSource);
    for (let i = 0; i < 2; i++) {
      await empty(dataSource);
      const id = await writeAgain(dataSource);
      expect(await dataSource.manager.findOneBy(Author, { id })).toMatchObject({ postsCount: 1, likesSum: 2 });
      await counters.expectNoDrift();
    }
    expect(errors).toEqual([]);
    await here.close();
  });

  test('with servers: flushAll() makes everything right that is left', async () => {
    const here = await attached([Author, Post], { ...served(), wait: 60_000, sweepInterval: 600_000 });
    const { dataSource, counters } = here;
    await writeAgain(dataSource);
    await counters.flushAll();
    await empty(dataSource);
    await writeAgain(dataSource);
    await counters.expectNoDrift();
    expect(await wrongAuthors(here)).toEqual([]);
    await here.close();
  });
});

test.each<Mode>(['buffered', 'outbox'])(
  "inline, %s: flushAll() makes right what waited when only the library's tables were emptied",
  async (mode) => {
    const here = await attached([Author, Post], { inline: true, mode });
    const { dataSource, counters, errors } = here;
    const { id } = await dataSource.manager.save(Author, { name: 'a' });
    const other = dataSource.createQueryRunner();
    await other.startTransaction();
    await other.query('SELECT FROM author WHERE id = $1 FOR NO KEY UPDATE', [id]);
    await dataSource.manager.insert(Post, { authorId: id });
    await dataSource.query(`TRUNCATE ${OWN.join(', ')}`);
    await other.rollbackTransaction();
    await other.release();
    await counters.expectNoDrift();
    expect(await dataSource.manager.findOneBy(Author, { id })).toMatchObject({ postsCount: 1 });
    expect(errors).toEqual([]);
    await here.close();
  },
);

describe.each(['TRUNCATE of every entity', 'synchronize(true)'])('%s, and ordinary counters', (name) => {
  let fixture: Fixture;
  afterEach(() => fixture.close({ leakCheck: false }));

  test('their worker opens the tables again as soon as it meets them, and recounts', async () => {
    fixture = await setup({ entities: [Author, Post], worker: true, counters: { sweepInterval: 600_000 } });
    const { dataSource } = fixture;
    await writeAgain(dataSource);
    await until(async () => (await wrongAuthors(fixture)).length === 0);
    await EMPTY[name]?.(dataSource);
    await writeAgain(dataSource);
    await until(async () => (await wrongAuthors(fixture)).length === 0, 15_000);
    await writeAgain(dataSource);
    await until(async () => (await wrongAuthors(fixture)).length === 0, 15_000);
  });
});
