import type { Mode } from 'typeorm-counter-cache';

import { internalsOf } from '../../../src/internals';
import { holdCommit } from '../../support/hold-commit';
import { setup } from '../../support/setup';
import { deleteKeysOf } from '../../support/redis';
import { until } from '../../support/until';
import { Author, Post } from '../blog';

const MODES: readonly Mode[] = ['buffered', 'outbox'];

test.each(MODES)(
  'a transaction that was published to one installation, and commits when its process is at another one, is counted, %s',
  async (mode) => {
    const fixture = await setup({ entities: [Author, Post], worker: true, counters: { sweepInterval: 200, mode } });
    const { dataSource, counters, errors } = fixture;
    const { opening } = internalsOf(counters);
    const before = (await opening.open()).installation.id;
    const own = dataSource.createQueryRunner();
    const { held, letGo } = holdCommit(dataSource, own);
    await own.startTransaction();
    // Listed by no campaign before its COMMIT.
    const { id } = await own.manager.save(Author, { name: 'new' });
    await own.manager.insert(Post, { authorId: id });
    const committing = own.commitTransaction();
    await held();
    await dataSource.query(`UPDATE counter_cache_state SET value = left(md5(value), 12) WHERE id = 'installation'`);
    await until(() => opening.current !== null && opening.current.installation.id !== before);
    const campaigns = `SELECT 1 FROM counter_cache_state WHERE id LIKE 'recount:%'`;
    await until(async () => (await dataSource.query<unknown[]>(campaigns)).length === 0);
    letGo();
    await committing;
    await own.release();
    await until(async () => (await dataSource.manager.findOneByOrFail(Author, { id })).postsCount === 1);
    // Reported by each part of the process that finds it.
    expect(new Set(errors.map((error) => (error as { code?: unknown }).code))).toEqual(new Set(['BUFFER_LOST']));
    await fixture.close();
    await deleteKeysOf(before);
  },
);
