import { NotPermittedError } from 'typeorm-counter-cache';

import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';
import { asTenant, Author, type Member, openWorld, Post, secure, type World } from './tenants';

describeVersions('a worker that sees less than when it started', (server) => {
  let world: World;
  let writer: Member;
  let worker: Member;

  beforeEach(async () => {
    world = await openWorld(server());
    await world.roles('writer', 'worker', 'nobody');
    await world.sql(`GRANT :nobody TO :worker;
      GRANT ALL ON ALL TABLES IN SCHEMA public TO :writer, :worker, :nobody;
      GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO :writer, :worker`);
    writer = await world.attach('writer');
    worker = await world.attach('worker');
  });
  afterEach(() => world.close());

  const columnOf = async (id: number) =>
    (await world.sql('SELECT "postsCount" AS n FROM author WHERE id = $1', [id]))[0]?.['n'];

  async function write(): Promise<number> {
    const { id } = await asTenant(writer, 'a', (manager) => manager.save(Author, { tenant: 'a' }));
    await post(id);
    return id;
  }

  async function post(authorId: number): Promise<void> {
    await asTenant(writer, 'a', (manager) => manager.save(Post, { tenant: 'a', authorId }));
    await writer.counters.settled();
  }

  function expectRefused(errors: readonly unknown[], table: string): void {
    expect(errors).toMatchObject([{ code: 'NOT_PERMITTED', problems: [expect.stringContaining(`public.${table} `)] }]);
  }

  test.each(['buffered', 'outbox'] as const)(
    'keeps what it cannot apply: a row that it does not see is not gone, %s',
    async (mode) => {
      await writer.counters.close();
      await writer.dataSource.destroy();
      writer = await world.attach('writer', { mode });
      await worker.counters.startWorker();
      const id = await write();
      await until(async () => (await columnOf(id)) === 1);
      await world.sql(secure('author'));
      await post(id);
      await until(() => worker.errors.length > 0);
      expectRefused(worker.errors, 'author');
      expect(await columnOf(id)).toBe(1);
      await world.sql('ALTER ROLE :worker BYPASSRLS');
      await until(async () => (await columnOf(id)) === 2);
      expect(worker.errors).toHaveLength(1);
    },
  );

  test('does not recount: sources that it does not see are not gone', async () => {
    const id = await write();
    await worker.counters.flush();
    await world.sql(secure('post'));
    await expect(worker.counters.verify()).rejects.toThrow(NotPermittedError);
    await expect(worker.counters.recalculate({ target: Author, ids: [id] })).rejects.toThrow(NotPermittedError);
    expect(await columnOf(id)).toBe(1);
    await world.sql(`CREATE POLICY all_rows ON post TO :worker USING (true)`);
    expect(await worker.counters.recalculate()).toMatchObject({ fixedCount: 0, checked: 1 });
    await world.sql(`CREATE POLICY narrow ON post AS RESTRICTIVE USING (tenant = 'b')`);
    await expect(worker.counters.verify()).rejects.toThrow(NotPermittedError);
  });

  test('an owner counts as others do where row security is forced', async () => {
    const id = await write();
    await worker.counters.flush();
    await world.sql(`ALTER TABLE post OWNER TO :worker; ${secure('post')}`);
    expect(await worker.counters.verify()).toMatchObject({ checked: 1, fixedCount: 0 });
    await world.sql('ALTER TABLE post FORCE ROW LEVEL SECURITY');
    await expect(worker.counters.recalculate()).rejects.toThrow(NotPermittedError);
    expect(await columnOf(id)).toBe(1);
    await world.sql('ALTER TABLE post OWNER TO postgres');
  });

  test('where row security is switched off for a session, the database refuses', async () => {
    const id = await write();
    await worker.counters.flush();
    await world.sql(`${secure('post')}; CREATE POLICY all_rows ON post TO :worker USING (true);
      ALTER ROLE :worker SET row_security = off`);
    const { counters } = await world.attach('worker');
    const reason = expect.stringContaining('row-level security') as unknown;
    expect(await counters.recalculate()).toMatchObject({ checked: 0, failed: [{ id: String(id), reason }] });
    expect(await columnOf(id)).toBe(1);
  });

  test('in the background neither: what is due waits for a worker that sees all', async () => {
    const { counters, errors } = await world.attach('worker', { recalculationDelay: 1_000 });
    await counters.startWorker();
    const late = await world.attach('writer', { recalculationDelay: 1_000 });
    const id = await asTenant(late, 'a', async (manager) => {
      const author = await manager.save(Author, { tenant: 'a' });
      await manager.save(Post, { tenant: 'a', authorId: author.id });
      return author.id;
    });
    await late.counters.settled();
    await until(async () => (await columnOf(id)) === 1);
    await world.sql(secure('post'));
    await until(() => errors.length > 0);
    expectRefused(errors, 'post');
    expect(await columnOf(id)).toBe(1);
  });

  test('reads nothing with the eyes of a role that a connection was left with', async () => {
    const id = await write();
    await worker.counters.flush();
    await world.sql(`${secure('post')}; CREATE POLICY all_rows ON post TO :worker USING (true);
      ${secure('author')}; CREATE POLICY all_rows ON author TO :worker USING (true)`);
    await worker.counters.verify();
    const runner = worker.dataSource.createQueryRunner();
    await runner.query(`SET ROLE ${world.nameOf('nobody')}`);
    await runner.release();
    await expect(worker.counters.read(Author, id, 'postsCount')).rejects.toThrow(NotPermittedError);
    await expect(worker.counters.verify()).rejects.toThrow(NotPermittedError);
    await worker.dataSource.query('RESET ROLE');
    expect(await worker.counters.read(Author, id, 'postsCount')).toBe(1);
  });
});
