import { NotPermittedError } from 'typeorm-counter-cache';

import { deleteKeysOf } from '../../support/redis';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { asTenant, Author, type Member, openWorld, Post, secure, type World } from './tenants';

describeVersions('row security', (server) => {
  let world: World;
  let writer: Member;

  beforeAll(async () => {
    world = await openWorld(server());
    await world.roles('writer', 'worker', 'bypassing', 'permitted');
    await world.sql(`ALTER ROLE :bypassing BYPASSRLS; ${secure('author')}; ${secure('post')};
      GRANT ALL ON ALL TABLES IN SCHEMA public TO :writer, :worker, :bypassing, :permitted;
      GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO :writer, :worker, :bypassing, :permitted;
      CREATE POLICY all_rows ON author TO :permitted USING (true);
      CREATE POLICY all_rows ON post TO :permitted USING (true)`);
    writer = await world.attach('writer');
  });
  afterAll(() => world.close());
  afterEach(() => expect(writer.errors).toEqual([]));

  async function write(): Promise<number> {
    const id = await asTenant(writer, 'a', async (manager) => {
      const author = await manager.save(Author, { tenant: 'a' });
      await manager.save(Post, [
        { tenant: 'a', authorId: author.id },
        { tenant: 'a', authorId: author.id },
      ]);
      return author.id;
    });
    await writer.counters.settled();
    return id;
  }

  const columnOf = async (id: number) =>
    (await world.sql('SELECT "postsCount" AS n FROM author WHERE id = $1', [id]))[0]?.['n'];

  test('a worker that policies hide rows from does not start, and says what to grant', async () => {
    const worker = await world.attach('worker');
    const role = world.nameOf('worker');
    const refused = await worker.counters.startWorker().then(
      () => null,
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(NotPermittedError);
    const { code, problems, context } = refused as NotPermittedError;
    expect([code, context['role']]).toEqual(['NOT_PERMITTED', role]);
    expect(problems).toEqual(
      ['author', 'post'].map(
        (table) =>
          expect.stringMatching(
            new RegExp(`rows of public.${table} from role ${role}.* ALTER ROLE "${role}" BYPASSRLS, or CREATE POLICY`),
          ) as unknown,
      ),
    );
  });

  test.each(['bypassing', 'permitted'])('a worker of the role %s counts what tenants write', async (name) => {
    const id = await write();
    expect(await columnOf(id)).toBe(0);
    const { counters, errors } = await world.attach(name);
    const worker = await counters.startWorker();
    await until(async () => (await columnOf(id)) === 2);
    expect(await counters.read(Author, id, 'postsCount')).toBe(2);
    expect(await counters.verify()).toMatchObject({ fixedCount: 0 });
    expect(await counters.recalculate()).toMatchObject({ fixedCount: 0 });
    await worker.close();
    expect(errors).toEqual([]);
  });

  test('what the buffer lost is left to a worker that sees all targets', async () => {
    const id = await write();
    const other = await world.attach('bypassing');
    await other.counters.flush();
    expect(await columnOf(id)).toBe(2);
    await world.sql('UPDATE author SET "postsCount" = 7');
    await deleteKeysOf(
      String((await world.sql(`SELECT value FROM counter_cache_state WHERE id = 'installation'`))[0]?.['value']),
    );
    const { errors, counters } = await world.attach('writer');
    await counters.settled();
    await until(() => errors.length > 0);
    expect(errors).toMatchObject([{ code: 'BUFFER_LOST' }]);
    expect(await columnOf(id)).toBe(7);
    const worker = await other.counters.startWorker();
    await until(async () => (await columnOf(id)) === 2);
    await worker.close();
    expect(errors).toHaveLength(1);
  });

  test('a process that may not see every row counts, applies and reads nothing', async () => {
    const id = await write();
    const { counters } = writer;
    const refused = { code: 'NOT_PERMITTED' };
    await expect(counters.recalculate()).rejects.toMatchObject(refused);
    await expect(counters.verify()).rejects.toMatchObject(refused);
    await expect(counters.flush()).rejects.toMatchObject(refused);
    await expect(counters.read(Author, id, 'postsCount')).rejects.toMatchObject(refused);
    expect(await columnOf(id)).toBe(0);
    // What was written still waits.
    const { counters: others } = await world.attach('bypassing');
    await others.flush();
    expect(await columnOf(id)).toBe(2);
  });
});
