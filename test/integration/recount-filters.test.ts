import { ConfigurationError } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { Author, Post } from './blog';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post] });
});
afterAll(() => fixture.close());

const NOTHING = Buffer.from(JSON.stringify({ tableId: 'elsewhere:id', after: [] })).toString('base64url');

test.each([
  ['an entity without counters', { target: Post }, 'no counter of this filter targets Post. Name one of: Author'],
  ['an unknown counter', { counter: 'Post.author>Author.postCount' }, "did you mean 'Post.author>Author.postsCount'"],
  ['a batch of nothing', { batchSize: 0 }, 'expected batchSize to be a positive integer, got: 0'],
  ['a cursor of another run', { cursor: NOTHING }, 'belongs to a run with another filter'],
  ['what is no cursor', { cursor: 'x' }, 'expected cursor to be one that an earlier report returned, got: "x"'],
  ['a key of too many parts', { target: Author, ids: [[1, 2]] }, 'expected an id of Author to name id'],
])('recalculate and verify refuse %s', async (_, filter, message) => {
  for (const run of [fixture.counters.recalculate(filter), fixture.counters.verify(filter)]) {
    await expect(run).rejects.toThrow(ConfigurationError);
    await expect(run).rejects.toThrow(message);
  }
});

test('misspelt options are refused, where they would mean all or be ignored', async () => {
  const misspelt = { targt: Author } as object;
  await expect(fixture.counters.recalculate(misspelt)).rejects.toThrow(
    "unknown option 'targt', did you mean 'target'?",
  );
  await expect(fixture.counters.flush(misspelt)).rejects.toThrow("unknown option 'targt', did you mean 'target'?");
  await expect(fixture.counters.startWorker({ concurency: 2 } as object)).rejects.toThrow(
    "did you mean 'concurrency'?",
  );
  await expect(fixture.counters.startWorker({ concurrency: 0 })).rejects.toThrow('positive integer, got: 0');
});

test('a filter that matches no row checks nothing, and says so', async () => {
  expect(await fixture.counters.verify({ target: Author, ids: [-1] })).toMatchObject({ checked: 0, cursor: null });
});
