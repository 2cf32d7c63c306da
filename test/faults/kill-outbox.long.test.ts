import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from '../integration/blog';
import { waitingRows } from '../integration/outbox/outbox';
import { ended, startWorkerProgram, startWriterProgram } from './programs';

let fixture: Fixture;
let id: number;

beforeEach(async () => {
  fixture = await setup({ entities: [Author, Post], counters: { mode: 'outbox' } });
  id = (await fixture.dataSource.manager.save(Author, { name: 'a' })).id;
});
afterEach(async () => {
  expect(await fixture.counters.verify()).toMatchObject({ checked: 1, fixedCount: 0 });
  expect(fixture.errors).toEqual([]);
  await fixture.close();
});

const countOf = async (): Promise<number> =>
  (await fixture.dataSource.manager.findOneByOrFail(Author, { id })).postsCount;

/** Lets an unharmed worker process take over. */
async function recover(expected: number): Promise<void> {
  const worker = startWorkerProgram({ databaseUrl: fixture.databaseUrl, killAt: 'none', mode: 'outbox' });
  await until(async () => (await waitingRows(fixture)) === 0 && (await countOf()) === expected);
  worker.kill('SIGKILL');
  await ended(worker);
  expect(await countOf()).toBe(expected);
}

test('I3: a worker that is killed between applying and COMMIT has applied nothing', async () => {
  for (let i = 0; i < 5; i++) await fixture.dataSource.manager.insert(Post, { authorId: id });
  const worker = startWorkerProgram({
    databaseUrl: fixture.databaseUrl,
    killAt: 'after-outbox-delete',
    mode: 'outbox',
  });
  expect(await ended(worker)).toBe('SIGKILL');
  expect(await countOf()).toBe(0);
  expect(await waitingRows(fixture)).toBe(5);
  await recover(5);
});

test.each([
  ['after-outbox-insert', 'in a transaction', 2],
  ['after-commit', 'in a transaction', 3],
  // The statement commits by itself.
  ['after-outbox-insert', 'alone', 3],
] as const)(
  'I2, I3: a writer that is killed %s, %s, leaves %i posts, and as many deltas',
  async (killAt, way, expected) => {
    const { databaseUrl } = fixture;
    const alone = way === 'alone';
    const writer = startWriterProgram({ databaseUrl, killAt, mode: 'outbox', authorId: id, posts: 3, alone });
    expect(await ended(writer)).toBe('SIGKILL');
    await until(async () => (await waitingRows(fixture)) === expected);
    expect(await fixture.dataSource.manager.countBy(Post, { authorId: id })).toBe(expected);
    await recover(expected);
  },
);
