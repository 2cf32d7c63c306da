import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

import { startChild } from '../support/child';
import { createDatabase } from '../support/database';
import { deleteKeysOf, redisUrl } from '../support/redis';
import { until } from '../support/until';

/** What a document marks with `<!-- run -->`. */
interface Runnable {
  readonly document: string;
  readonly line: number;
  readonly code: string;
}

const list = execFileSync(process.execPath, [join(__dirname, '../../.ci/docs-code.mjs'), '--runnable'], {
  cwd: join(__dirname, '../..'),
  encoding: 'utf8',
});
const runnable = JSON.parse(list) as Runnable[];

test('the first examples are among those that run', () => {
  expect(runnable.map(({ document }) => document)).toEqual(
    expect.arrayContaining(['README.md', 'docs/getting-started.md']),
  );
});

test.each(runnable)('the code of $document:$line runs, and its process ends by itself', async ({ code }) => {
  const database = await createDatabase();
  try {
    const onOurServers = code
      .replaceAll(/'postgres:\/\/localhost\/\w+'/g, JSON.stringify(database.url))
      .replaceAll("'redis://localhost'", JSON.stringify(redisUrl()));
    const child = startChild(join(__dirname, 'module-program.js'), { PROGRAM_CODE: onOurServers });
    child.stdout.resume();
    expect(await once(child, 'exit')).toEqual([0, null]);
    // PostgreSQL takes a moment to see that a client has gone.
    await until(async () => (await database.connections()).length === 0);
  } finally {
    const installation = await database.installation();
    await database.drop();
    if (installation !== null) await deleteKeysOf(installation);
  }
});
