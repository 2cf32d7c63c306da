import type { EntitySubscriberInterface, QueryRunner } from 'typeorm';
import { type Fixture, setup } from '../../support/setup';
import { Author, Post } from '../blog';
import { wrongAuthors } from '../outbox/outbox';

/** Refuses statements by their text, as an auditing or read-only plugin may. */
class Refuser implements EntitySubscriberInterface {
  public refuse: string | null = null;
  public times = 1;
  public sync = false;
  /** Query runners in transactions of the library's own, which it makes in the background. */
  readonly #own = new WeakSet<QueryRunner>();
  beforeQuery({ query, queryRunner }: { query: string; queryRunner: QueryRunner }): Promise<void> | void {
    if (query.startsWith('BEGIN ISOLATION LEVEL')) this.#own.add(queryRunner);
    if (this.#own.has(queryRunner)) return;
    if (this.refuse === null || !query.startsWith(this.refuse) || this.times <= 0) return;
    this.times -= 1;
    if (this.sync) throw new Error('refused');
    return Promise.reject(new Error('refused'));
  }
}

describe.each(['buffered', 'outbox'] as const)('%s', (mode) => {
  let fixture: Fixture;
  let refuser: Refuser;
  beforeAll(async () => {
    fixture = await setup({ entities: [Author, Post], counters: { mode } });
    await fixture.dataSource.query('CREATE TABLE d (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)');
    refuser = new Refuser();
    fixture.dataSource.subscribers.push(refuser);
  });
  afterEach(() => void (refuser.refuse = null));
  afterAll(() => fixture.close());
  const expectExact = async () => {
    await fixture.counters.settled();
    await fixture.counters.flush();
    expect(await wrongAuthors(fixture)).toEqual([]);
  };
  const author = () => fixture.dataSource.manager.save(new Author());

  test.each([false, true])(
    'COMMIT refused by another subscriber; the transaction is rolled back (sync %s)',
    async (sync) => {
      const { id } = await author();
      Object.assign(refuser, { refuse: 'COMMIT', times: 1, sync });
      await expect(fixture.dataSource.transaction((m) => m.insert(Post, { authorId: id }))).rejects.toThrow('refused');
      await expectExact();
    },
  );

  test('COMMIT of an idle transaction refused; a write in it goes on', async () => {
    const { id } = await author();
    const runner = fixture.dataSource.createQueryRunner();
    await runner.startTransaction();
    Object.assign(refuser, { refuse: 'COMMIT', times: 1 });
    await expect(runner.commitTransaction()).rejects.toThrow('refused');
    await runner.manager.insert(Post, { authorId: id });
    await runner.commitTransaction();
    await runner.release();
    await expectExact();
  });

  test('COMMIT with captured writes refused; a write in it goes on', async () => {
    const { id } = await author();
    const runner = fixture.dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.insert(Post, { authorId: id });
    Object.assign(refuser, { refuse: 'COMMIT', times: 1 });
    await expect(runner.commitTransaction()).rejects.toThrow('refused');
    await runner.manager.insert(Post, { authorId: id });
    await runner.commitTransaction();
    await runner.release();
    await expectExact();
  });

  test('ROLLBACK refused; a write in it goes on', async () => {
    const { id } = await author();
    const runner = fixture.dataSource.createQueryRunner();
    await runner.startTransaction();
    Object.assign(refuser, { refuse: 'ROLLBACK', times: 1 });
    await expect(runner.rollbackTransaction()).rejects.toThrow('refused');
    await runner.manager.insert(Post, { authorId: id });
    await runner.commitTransaction();
    await runner.release();
    await expectExact();
  });

  test('START TRANSACTION of a single write refused once; the next write counts', async () => {
    const { id } = await author();
    const runner = fixture.dataSource.createQueryRunner();
    Object.assign(refuser, { refuse: 'START TRANSACTION', times: 1 });
    await expect(runner.manager.insert(Post, { authorId: id })).rejects.toThrow('refused');
    await runner.manager.insert(Post, { authorId: id });
    await runner.release();
    await expectExact();
  });

  test('raw BEGIN refused once; the next write counts', async () => {
    const { id } = await author();
    const runner = fixture.dataSource.createQueryRunner();
    Object.assign(refuser, { refuse: 'BEGIN', times: 1 });
    await expect(runner.query('BEGIN')).rejects.toThrow('refused');
    await runner.manager.insert(Post, { authorId: id });
    await runner.release();
    await expectExact();
  });

  test('COMMIT AND CHAIN that fails; a write after it', async () => {
    const { id } = await author();
    const runner = fixture.dataSource.createQueryRunner();
    await runner.query('BEGIN');
    await runner.query('INSERT INTO d VALUES (1), (1)');
    await expect(runner.query('COMMIT AND CHAIN')).rejects.toThrow('duplicate');
    await runner.manager.insert(Post, { authorId: id });
    await runner.release();
    await expectExact();
  });
  test('COMMIT AND CHAIN that fails; a write after it, then ROLLBACK', async () => {
    const { id } = await author();
    const runner = fixture.dataSource.createQueryRunner();
    await runner.query('BEGIN');
    await runner.query('INSERT INTO d VALUES (1), (1)');
    await expect(runner.query('COMMIT AND CHAIN')).rejects.toThrow('duplicate');
    await runner.manager.insert(Post, { authorId: id });
    await runner.query('ROLLBACK');
    await runner.release();
    await expectExact();
  });

  test('raw COMMIT inside dataSource.transaction, a write, then a throw', async () => {
    const { id } = await author();
    await expect(
      fixture.dataSource.transaction(async (m) => {
        await m.insert(Post, { authorId: id });
        await m.query('COMMIT');
        await m.insert(Post, { authorId: id });
        throw new Error('late');
      }),
    ).rejects.toThrow('late');
    await expectExact();
  });

  test('COMMIT given up by a time limit, ROLLBACK sent behind it', async () => {
    const { id } = await author();
    const runner = fixture.dataSource.createQueryRunner();
    await runner.query('BEGIN');
    await runner.manager.insert(Post, { authorId: id });
    const commit = runner.query('COMMIT').catch(() => undefined);
    await runner.query('ROLLBACK').catch(() => undefined);
    await commit;
    await runner.release();
    await expectExact();
  });

  test('COMMIT sent twice', async () => {
    const { id } = await author();
    const runner = fixture.dataSource.createQueryRunner();
    await runner.query('BEGIN');
    await runner.manager.insert(Post, { authorId: id });
    await Promise.all([runner.query('COMMIT'), runner.query('COMMIT')]);
    await runner.release();
    await expectExact();
  });

  test('un-awaited startTransaction, write, rollback', async () => {
    const { id } = await author();
    const runner = fixture.dataSource.createQueryRunner();
    await runner.connect();
    const s = runner.query('BEGIN');
    const w = runner.manager.insert(Post, { authorId: id });
    await Promise.all([s, w]);
    await runner.query('ROLLBACK');
    await runner.release();
    await expectExact();
  });
});
