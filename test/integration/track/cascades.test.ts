import { Blog, Comment, Edition, Post, Reader, setupWriters, Writer, type Writers } from './writers';

let writers: Writers;
let one: Writer;
let two: Writer;
let blog: Blog;
let reader: Reader;

beforeAll(async () => {
  writers = await setupWriters();
});
beforeEach(async () => {
  const { manager } = writers.dataSource;
  [one, two] = (await manager.save([manager.create(Writer), manager.create(Writer)])) as [Writer, Writer];
  blog = await manager.save(manager.create(Blog));
  reader = await manager.save(manager.create(Reader));
});
afterEach(() => expect(writers.errors).toEqual([]));
afterAll(() => writers.close());

const expectExact = (): Promise<void> => writers.expectExact();

/** Posts of both writers, each with two comments; those of the second go on with those of the first. */
async function seed(): Promise<Post[]> {
  const { manager } = writers.dataSource;
  const posts = await manager.save([1, 2, 3].map(() => manager.create(Post, { writer: one, blog })));
  const sequels = await manager.save(posts.map((sequelOf) => manager.create(Post, { writer: two, blog, sequelOf })));
  const all = [...posts, ...sequels];
  await manager.insert(
    Comment,
    [...all, ...all].map((post) => ({ post, reader })),
  );
  await expectExact();
  return all;
}

async function expectCounts(posts: number, comments: number): Promise<void> {
  await expectExact();
  const { manager } = writers.dataSource;
  expect(await manager.findOneBy(Blog, { id: blog.id })).toMatchObject({ postsCount: posts });
  expect(await manager.findOneBy(Reader, { id: reader.id })).toMatchObject({ commentsCount: comments });
}

describe('rows that go with those of counters.track', () => {
  test.each(['raw SQL', 'TypeORM'])('count no more: targets deleted by %s', async (how) => {
    await seed();
    await writers.counters.track(writers.dataSource.manager, Writer, { id: one.id }, (own) =>
      how === 'raw SQL' ? own.query('DELETE FROM writer WHERE id = $1', [one.id]) : own.delete(Writer, one.id),
    );
    await expectCounts(0, 0);
  });

  test('count no more: sources of one table, deleted with each other', async () => {
    const [first] = await seed();
    await writers.counters.track(writers.dataSource.manager, Post, { id: first?.id as number }, (own) =>
      own.query('DELETE FROM post WHERE id = $1', [first?.id]),
    );
    await expectCounts(4, 8);
    expect(await writers.dataSource.manager.findOneBy(Writer, { id: two.id })).toMatchObject({ postsCount: 2 });
  });

  test('count as they are when nothing is deleted, and when TypeORM changes them before', async () => {
    const posts = await seed();
    await writers.counters.track(writers.dataSource.manager, Writer, { id: one.id }, async (own) => {
      await own.update(Post, { id: posts[0]?.id as number }, { writer: two, likes: 7 });
      await own.delete(Post, { id: posts[1]?.id as number });
      await own.insert(Post, { writer: two, blog });
    });
    await expectCounts(5, 8);
    await writers.counters.track(writers.dataSource.manager, Writer, { id: one.id }, async (own) => {
      const post = await own.save(own.create(Post, { writer: one, blog }));
      await own.insert(Comment, { post, reader });
      await own.update(Post, { id: posts[2]?.id as number }, { writer: two });
      await own.query('DELETE FROM writer WHERE id = $1', [one.id]);
    });
    await expectCounts(5, 8);
  });

  test('count as they are when the work is undone', async () => {
    await seed();
    await writers.dataSource.transaction(async (outer) => {
      const work = writers.counters.track(outer, Writer, { id: one.id }, async (own) => {
        await own.query('DELETE FROM writer WHERE id = $1', [one.id]);
        throw new Error('no');
      });
      await expect(work).rejects.toThrow('no');
    });
    await expectCounts(6, 12);
  });

  test('lose a reference that a condition looks at: SET NULL', async () => {
    const { manager } = writers.dataSource;
    const [first] = await seed();
    const edition = await manager.save(manager.create(Edition));
    await manager.update(Post, { id: first?.id as number }, { editionId: edition.id });
    await expectExact();
    expect(await manager.findOneBy(Writer, { id: one.id })).toMatchObject({ printedCount: 1 });
    await writers.counters.track(manager, Post, { id: first?.id as number }, (own) =>
      own.query('DELETE FROM edition WHERE id = $1', [edition.id]),
    );
    await expectCounts(6, 12);
    expect(await manager.findOneBy(Writer, { id: one.id })).toMatchObject({ printedCount: 0 });
  });
});

test('what counters.track reads: rows below only where deletions spread to what counts', async () => {
  await seed();
  const statements: string[] = [];
  const { manager } = writers.dataSource;
  const spy = async (entity: typeof Writer | typeof Comment): Promise<number> => {
    statements.splice(0);
    await writers.dataSource.transaction(async (own) => {
      const runner = own.queryRunner;
      if (runner === undefined) throw new Error('no query runner');
      const query = runner.query.bind(runner) as (sql: string, ...rest: unknown[]) => Promise<unknown>;
      runner.query = ((sql: string, ...rest: unknown[]) => {
        statements.push(sql);
        return query(sql, ...rest);
      }) as typeof runner.query;
      await writers.counters.track(own, entity, {}, async () => undefined);
      Reflect.deleteProperty(runner, 'query');
    });
    return statements.filter((sql) => / FOR UPDATE/.test(sql)).length;
  };
  // What matches before and after, and, when anything does, the same rows again.
  expect(await spy(Comment)).toBe(3);
  // Posts of the writers, their sequels, and the comments of both, and all these again.
  expect(await spy(Writer)).toBeGreaterThan(3);
  await expect(manager.countBy(Comment, { reader: { id: reader.id } })).resolves.toBe(12);
});
