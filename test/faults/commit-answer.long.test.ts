import { type CountersOptions, type Mode, InProcessScheduler } from 'typeorm-counter-cache';
import { MemoryBuffer } from '../../src/engines/buffered/memory/memory-buffer';

import { Author, Post } from '../integration/blog';
import { waitingRows, wrongAuthors } from '../integration/outbox/outbox';
import { execute } from '../support/database';
import { type Proxy, startDatabaseProxy } from '../support/proxy';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';

let proxy: Proxy;
let fixture: Fixture;

beforeAll(async () => {
  const started = await startDatabaseProxy(process.env['DATABASE_URL'] ?? '');
  ({ proxy } = started);
  process.env['DATABASE_URL'] = started.url;
});
afterAll(() => proxy.close());
afterEach(() => fixture.close());

test('outbox: a connection that breaks while rows are written rejects the write, and keeps nobody from closing', async () => {
  await start('outbox');
  const { manager } = fixture.dataSource;
  const interrupted = proxy.interrupt({ when: (request) => request.includes('counter_cache_outbox'), lose: 'request' });
  const writing = manager.transaction((inner) => inner.insert(Post, { authorId: 1, likes: 3 }));
  await Promise.all([interrupted, expect(writing).rejects.toThrow(/terminated|closed|ECONNRESET/)]);
  expect(await manager.existsBy(Post, { likes: 3 })).toBe(false);
  const from = performance.now();
  await fixture.counters.close();
  expect(performance.now() - from).toBeLessThan(4_000);
});

async function start(mode: Mode, others: Partial<CountersOptions> = {}): Promise<void> {
  const counters = { mode, intentTimeout: 300, redisTimeout: 1_000, ...others };
  fixture = await setup({ entities: [Author, Post], counters });
  await fixture.dataSource.manager.save(Author, [{ name: 'a' }, { name: 'b' }]);
  await fixture.dataSource.manager.insert(Post, [{ authorId: 1 }, { authorId: 1 }, { authorId: 2 }]);
  await fixture.counters.flush();
}

/** Not a BEGIN that says READ COMMITTED, of the library's own. */
function isCommit(request: Buffer): boolean {
  return /COMMIT(?!TED)/.test(request.toString('latin1'));
}

/** A transaction whose connection breaks when COMMIT is sent; resolves to whether it was committed. */
async function commitInDoubt(lose: 'request' | 'answer'): Promise<boolean> {
  const { manager } = fixture.dataSource;
  const interrupted = proxy.interrupt({ when: isCommit, lose });
  const writing = manager.transaction(async (inner) => {
    await inner.insert(Post, { authorId: 1, published: true, likes: 3 });
    await inner.update(Post, { id: 1 }, { authorId: 2 });
    await inner.delete(Post, { id: 3 });
  });
  await Promise.all([interrupted, expect(writing).rejects.toThrow(/terminated|closed|ECONNRESET/)]);
  return manager.existsBy(Post, { likes: 3 });
}

/** With a worker, until nothing is pending; then every column is right without a recalculation by hand. */
async function expectRight(): Promise<void> {
  const { counters } = fixture;
  await counters.settled();
  await counters.startWorker();
  await until(async () => {
    const { dirty, batches, intents } = await counters.status();
    return dirty + batches + intents === 0 && (await waitingRows(fixture)) === 0;
  });
  await until(async () => (await wrongAuthors(fixture)).length === 0);
  expect(await counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
}

describe.each<Mode>(['buffered', 'outbox'])('I2, I3, %s: a connection that breaks', (mode) => {
  test.each([
    ['before COMMIT arrives', 'request', false],
    ['before COMMIT is answered', 'answer', true],
  ] as const)('%s leaves every column right', async (_name, lose, isCommitted) => {
    await start(mode);
    expect(await commitInDoubt(lose)).toBe(isCommitted);
    await expectRight();
  });
});

class DeafBuffer extends MemoryBuffer {
  override async announce(): Promise<void> {
    throw new Error('no answer');
  }
}

test('buffered, while neither the buffer nor the outbox takes deltas: what may be committed is recounted', async () => {
  const scheduler = new InProcessScheduler();
  await start('buffered', { buffer: new DeafBuffer({ window: 10 }), scheduler });
  // By another client: the library would read the catalogue again, in a transaction with a COMMIT of its own.
  await execute(fixture.databaseUrl, 'ALTER TABLE counter_cache_outbox ADD CONSTRAINT closed CHECK (false)');
  expect(await commitInDoubt('answer')).toBe(true);
  await expectRight();
  await scheduler.close();
});

test.each<Mode>(['buffered', 'outbox'])(
  '%s: tables that a transaction has changed are noticed, when the answer to its COMMIT is lost',
  async (mode) => {
    await start(mode, { sweepInterval: 60_000 });
    const { manager } = fixture.dataSource;
    const interrupted = proxy.interrupt({ when: isCommit, lose: 'answer' });
    const changing = manager.transaction((inner) =>
      inner.query(`
        CREATE FUNCTION hand_over() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW."authorId" := 2; RETURN NEW; END';
        CREATE TRIGGER hand_over BEFORE UPDATE ON post FOR EACH ROW EXECUTE FUNCTION hand_over()`),
    );
    await Promise.all([interrupted, expect(changing).rejects.toThrow(/terminated|closed|ECONNRESET/)]);
    await manager.update(Post, { id: 1 }, { title: 'other' });
    await fixture.counters.flush();
    expect(await wrongAuthors(fixture)).toEqual([]);
  },
);
