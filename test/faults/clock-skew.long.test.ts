import { once } from 'node:events';
import { join } from 'node:path';

import type { Mode } from 'typeorm-counter-cache';

import { Author, Post } from '../integration/blog';
import { waitingRows, wrongAuthors } from '../integration/outbox/outbox';
import { type Child, startChild } from '../support/child';
import { type Fixture, setup, TEST_OPTIONS } from '../support/setup';
import { until } from '../support/until';
import { ended } from './programs';

const MINUTE = 60_000;

/** `wait + window + sweepInterval`, and time for the work itself on a busy machine: much less than a minute. */
const BOUND = TEST_OPTIONS.wait + TEST_OPTIONS.window + TEST_OPTIONS.sweepInterval + 5_000;

let fixture: Fixture;
let children: Child[];

beforeEach(() => {
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(children.filter(({ signalCode }) => signalCode === null).map(ended));
  await fixture.close();
  expect(fixture.errors).toEqual([]);
});

async function start(role: 'writer' | 'worker', skew: number, mode: Mode): Promise<Child> {
  const child = startChild(join(__dirname, 'skew-program.ts'), {
    PROGRAM_DATABASE: fixture.databaseUrl,
    ROLE: role,
    SKEW: String(skew),
    MODE: mode,
  });
  children.push(child);
  await once(child, 'message');
  return child;
}

describe.each<Mode>(['buffered', 'outbox'])('I4, %s: clocks that differ by two minutes', (mode) => {
  test.each([
    ['the writer is behind, the worker ahead', -MINUTE, MINUTE],
    ['the writer is ahead, the worker behind', MINUTE, -MINUTE],
  ])('%s: deltas are applied in time, once', async (_name, ofWriter, ofWorker) => {
    fixture = await setup({ entities: [Author, Post], counters: { mode } });
    const authors = await fixture.dataSource.manager.save(Author, [{ name: 'a' }, { name: 'b' }, { name: 'c' }]);
    const [writer] = await Promise.all([
      start('writer', ofWriter, mode),
      start('worker', ofWorker, mode),
      // With a clock that is right.
      start('worker', 0, mode),
    ]);
    for (let round = 0; round < 3; round++) {
      const written = once(writer, 'message');
      writer.send(authors.map(({ id }) => id));
      await written;
      await fixture.dataSource.manager.insert(Post, { authorId: 1 });
      await until(async () => (await wrongAuthors(fixture)).length === 0, BOUND);
    }
    await until(async () => {
      const { dirty, batches, intents } = await fixture.counters.status();
      return dirty + batches + intents + (await waitingRows(fixture)) === 0;
    });
    expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
  });
});
