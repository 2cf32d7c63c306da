import type { DataSource } from 'typeorm';

import type { CounterColumn } from '../model/definition';
import { startCampaigns } from '../dialects/postgres/installation/campaigns';
import {
  lockDefinitions,
  readDefinitions,
  refreshHeartbeats,
  writeDefinitions,
} from '../dialects/postgres/installation/definitions';
import { withConnection, withTransaction } from '../dialects/postgres/query';
import type { TablePaths } from '../dialects/postgres/installation/tables';
import { look, type OwnDefinitions } from './heartbeats';

/**
 * Says that this process counts by its definitions, and notes the recounts that are due because others count, or
 * counted, by other ones. One SELECT, unless something has to be written.
 *
 * @returns columns whose recount has been waiting for long
 */
export async function noticeDefinitions(
  dataSource: DataSource,
  tables: TablePaths,
  own: OwnDefinitions,
  interval: number,
): Promise<readonly CounterColumn[]> {
  const glance = await withConnection(dataSource, async (runner) => {
    const found = look(await readDefinitions(runner, tables), own, { interval, isNew: false });
    if (found.seen.size > 0) await refreshHeartbeats(runner, tables, found.seen);
    return found;
  });
  if (glance.changed.size === 0) return glance.waiting;
  return withTransaction(dataSource, 'READ COMMITTED', async (runner) => {
    const isNew = await lockDefinitions(runner, tables);
    // Once more: another process may have been first.
    const { changed, kinds, waiting } = look(await readDefinitions(runner, tables), own, { interval, isNew });
    await writeDefinitions(runner, tables, changed);
    await startCampaigns(runner, tables, kinds);
    return waiting;
  });
}
