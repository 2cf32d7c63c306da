import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post } from '../integration/blog';
import { ended, type KillPoint, startWorkerProgram, startWriterProgram } from './programs';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post] });
});
afterAll(() => fixture.close());

async function newAuthor(): Promise<number> {
  const { id } = await fixture.dataSource.manager.save(Author, { name: 'a' });
  return id;
}

async function countOf(id: number): Promise<number> {
  return (await fixture.dataSource.manager.findOneByOrFail(Author, { id })).postsCount;
}

/** Lets an unharmed worker process take over, until nothing is pending and the count is as expected. */
async function recover(id: number, expected: number): Promise<void> {
  const worker = startWorkerProgram({ databaseUrl: fixture.databaseUrl, killAt: 'none' });
  await until(async () => {
    const { dirty, batches, intents } = await fixture.counters.status();
    return dirty + batches + intents === 0 && (await countOf(id)) === expected;
  });
  worker.kill('SIGKILL');
  await ended(worker);
}

describe('I3: a worker that is killed', () => {
  test.each<[KillPoint, number]>([
    ['after-claim', 0],
    ['before-acknowledge', 5],
  ])('%s leaves its batch to the next worker, which applies it once', async (killAt, appliedBefore) => {
    const id = await newAuthor();
    for (let i = 0; i < 5; i++) await fixture.dataSource.manager.insert(Post, { authorId: id });
    await fixture.counters.settled();
    const worker = startWorkerProgram({ databaseUrl: fixture.databaseUrl, killAt });
    expect(await ended(worker)).toBe('SIGKILL');
    expect(await countOf(id)).toBe(appliedBefore);
    expect(await fixture.counters.status()).toMatchObject({ dirty: 0, batches: 1 });
    await recover(id, 5);
    expect(await countOf(id)).toBe(5);
  });
});

describe('I3: a writer that is killed', () => {
  test('between COMMIT and confirm leaves an intent, and the sweep repairs its target', async () => {
    const id = await newAuthor();
    const writer = startWriterProgram({
      databaseUrl: fixture.databaseUrl,
      killAt: 'before-confirm',
      authorId: id,
      posts: 3,
    });
    expect(await ended(writer)).toBe('SIGKILL');
    expect(await fixture.counters.status()).toMatchObject({ intents: 1 });
    await recover(id, 3);
    expect(await fixture.counters.status()).toMatchObject({ dirty: 0, batches: 0, intents: 0 });
  });
});
