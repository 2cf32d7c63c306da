import type { Mode } from 'typeorm-counter-cache';

import { Author, Post } from '../integration/blog';
import { waitingRows, wrongAuthors } from '../integration/outbox/outbox';
import { type PostgresServer, startPostgres } from '../support/services';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';

const AUTHORS = 6;
const WRITERS = 8;
const RESTARTS = 2;

let server: PostgresServer;
let fixture: Fixture;

beforeAll(async () => {
  server = await startPostgres();
  process.env['DATABASE_URL'] = server.url;
});
afterEach(() => fixture.close());
afterAll(() => server.stop());

interface Tally {
  done: number;
  failed: number;
}

/** Writes until it is stopped; what a restart breaks is simply given up, as an application's request would be. */
async function keepWriting(client: number, tally: Tally, isStopped: () => boolean): Promise<void> {
  const { manager } = fixture.dataSource;
  for (let round = client; !isStopped(); round++) {
    const authorId = (round % AUTHORS) + 1;
    try {
      const { id } = await manager.save(Post, { authorId, likes: round % 5, published: round % 2 === 0 });
      await manager.transaction(async (inner) => {
        await inner.update(Post, { id }, { authorId: (client % AUTHORS) + 1, likes: round % 7 });
        await inner.insert(Post, { authorId });
        if (round % 3 === 0) await inner.delete(Post, { id });
      });
      tally.done += 1;
    } catch {
      tally.failed += 1;
    }
  }
}

/** A database that comes back may refuse for a while. */
async function isQuiet(): Promise<boolean> {
  const { dirty, batches, intents } = await fixture.counters.status();
  return dirty + batches + intents + (await waitingRows(fixture)) === 0;
}

test.each<Mode>(['buffered', 'outbox'])(
  'I1, I3, %s: PostgreSQL restarts at once, twice, under load and a worker; every column is right without a recalculation by hand',
  async (mode) => {
    const counters = { mode, intentTimeout: 1_000, claimTimeout: 1_000, redisTimeout: 1_000 };
    fixture = await setup({ entities: [Author, Post], counters, worker: true });
    await fixture.dataSource.manager.save(
      Author,
      Array.from({ length: AUTHORS }, () => ({ name: 'a' })),
    );
    const tally = { done: 0, failed: 0 };
    let isStopped = false;
    const writing = Promise.all(
      Array.from({ length: WRITERS }, (_, client) => keepWriting(client, tally, () => isStopped)),
    );
    for (let restart = 0; restart < RESTARTS; restart++) {
      const from = tally.done;
      await until(() => tally.done >= from + 5 * WRITERS);
      await server.restart();
    }
    const from = tally.done;
    await until(() => tally.done >= from + WRITERS);
    isStopped = true;
    await writing;
    expect(tally.failed).toBeGreaterThan(0);
    await fixture.counters.settled();
    await until(isQuiet, 40_000);
    await until(async () => (await wrongAuthors(fixture)).length === 0, 40_000);
    expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
  },
  120_000,
);
