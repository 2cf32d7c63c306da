import type { DataSource } from 'typeorm';
import type { Mode } from 'typeorm-counter-cache';
import type { TestOptions } from 'typeorm-counter-cache/testing';

import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { openInternals } from '../internals';
import { waitingRows, wrongAuthors } from '../outbox/outbox';
import { type Attached, attached, served } from './attached';
import { EMPTY, expectFresh } from './emptied';

const MODES: readonly Mode[] = ['buffered', 'outbox'];

describe.each(Object.keys(EMPTY))('reset() after %s', (name) => {
  const empty = EMPTY[name] as (dataSource: DataSource) => Promise<unknown>;

  describe.each(MODES)('with servers, %s', (mode) => {
    let here: Attached;
    const start = async (options: TestOptions = {}) => {
      here = await attached([Author, Post], { ...served(), mode, ...options });
    };
    afterEach(() => here.close());

    test('pending and claimed deltas and requests are forgotten', async () => {
      await start({ wait: 60_000 });
      const { dataSource, counters } = here;
      const { id } = await dataSource.manager.save(Author, { name: 'old' });
      await dataSource.manager.insert(Post, { authorId: id, likes: 7 });
      await counters.settled();
      const internals = await openInternals(dataSource);
      const claimed = [];
      for (let shard = 0; shard < internals.context.buffer.shards; shard++) {
        const { batch } = await internals.context.buffer.claim(shard, { select: 'dirty', tableIds: null }, 10);
        if (batch === null) continue;
        claimed.push(batch);
        const targets = batch.entries.map(({ target }) => target);
        await internals.context.buffer.requestRepair(shard, targets, 0n);
      }
      expect(claimed).toHaveLength(mode === 'buffered' ? 1 : 0);
      await dataSource.manager.insert(Post, { authorId: id, likes: 7 });
      await counters.settled();
      await empty(dataSource);
      await counters.reset();
      expect(await counters.status()).toMatchObject({ dirty: 0, batches: 0, intents: 0, recalculations: 0 });
      expect(await waitingRows(here)).toBe(0);
      // A worker that claimed it before, and comes too late.
      for (const { shard, id: batch } of claimed)
        expect(await internals.context.buffer.acknowledge(shard, batch, [])).toMatchObject({ found: false });
      await internals.close();
      await expectFresh(here);
    });

    test('a worker that runs goes on', async () => {
      await start();
      const { dataSource, counters, errors } = here;
      const worker = await counters.startWorker();
      for (let i = 0; i < 3; i++) {
        const { id } = await dataSource.manager.save(Author, { name: 'old' });
        await dataSource.manager.insert(Post, { authorId: id, likes: 7 });
        await empty(dataSource);
        await counters.reset();
        // What it met in between: tables that were gone, or empty.
        errors.splice(0);
        await dataSource.manager.save(Author, { name: 'new' });
        await dataSource.manager.insert(Post, { authorId: 1 });
        await until(async () => (await wrongAuthors(here)).length === 0, 10_000);
        await counters.expectNoDrift();
        await empty(dataSource);
        await counters.reset();
      }
      await worker.close();
    });
  });
});
