import { once } from 'node:events';
import { join } from 'node:path';

import { startChild } from '../support/child';
import { createDatabase } from '../support/database';
import { deleteKeysOf } from '../support/redis';
import type { Walks } from './walk-program';

/** A change that shortens a walk lowers these: a reader follows it file by file. */
const MAX_FILES = { save: 59, recount: 42 };

test('a plain save(), until the wake-up is set, and a recount of one row pass no more files than they did', async () => {
  const database = await createDatabase();
  try {
    const child = startChild(join(__dirname, 'walk-program.ts'), { PROGRAM_DATABASE: database.url });
    const [{ save, recount }] = (await once(child, 'message')) as [Walks];
    await once(child, 'exit');
    expect(save).toEqual(
      expect.arrayContaining(['typeorm/hook.ts', 'publish/delta-publisher.ts', 'schedule/scheduler.ts']),
    );
    expect(recount).toEqual(
      expect.arrayContaining(['recount/recount-targets.ts', 'dialects/postgres/counting/recount.ts']),
    );
    expect(save.length).toBeLessThanOrEqual(MAX_FILES.save);
    expect(recount.length).toBeLessThanOrEqual(MAX_FILES.recount);
  } finally {
    const installation = await database.installation();
    await database.drop();
    if (installation !== null) await deleteKeysOf(installation);
  }
});
