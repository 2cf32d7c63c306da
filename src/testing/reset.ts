import type { Counters } from '../counters';
import { clearInstallation, createMissingTables, restoreInstallation } from '../dialects/postgres/installation/clear';
import { tablePaths } from '../dialects/postgres/installation/tables';
import { withConnection } from '../dialects/postgres/query';
import { besidePool } from '../dialects/postgres/side-connection';
import type { Installation } from '../installation';
import { internalsOf } from '../internals';

/**
 * Starts over after tables were emptied or dropped: what waits is forgotten, and the library's tables are made again where
 * they are missing. The installation stays the one it was, so that other processes and workers go on.
 *
 * @throws CounterCacheError `CLOSED`, `NOT_INITIALIZED`; what the database throws
 */
export async function reset(counters: Counters): Promise<void> {
  const { dataSource, opening, publisher, assertOpen } = internalsOf(counters);
  assertOpen();
  await publisher.published();
  await besidePool('full', async () => {
    const before = opening.last?.installation ?? null;
    if (before === null) await createTables(counters);
    else await restore(counters, before);
    const { installation } = await opening.openAgain();
    // Another process had made a new one already.
    if (before === null || before.id !== installation.id)
      await clearInstallation(dataSource, installation.tables, installation.buffer);
  });
}

function createTables(counters: Counters): Promise<void> {
  const { dataSource } = internalsOf(counters);
  return withConnection(dataSource, (runner) => createMissingTables(runner, tablePaths(dataSource)));
}

async function restore(counters: Counters, { id, tables, buffer }: Installation): Promise<void> {
  const { dataSource } = internalsOf(counters);
  const found = await restoreInstallation(dataSource, tables, { id, shards: buffer.shards });
  if (found === id) await clearInstallation(dataSource, tables, buffer);
  // No process looks there any more.
  else for (let shard = 0; shard < buffer.shards; shard++) await buffer.clear(shard, 1);
}
