import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type PostgresServer, startPostgres } from '../../support/services';
import { type Measured, measure, measurePlain } from './measure';
import { BUILDERS, RELATIONS } from './rows/builders';
import { CRITERIA } from './rows/criteria';
import { INSERTS } from './rows/inserts';
import { JUNCTIONS } from './rows/junctions';
import { PATH_SOURCES, ROWS_BETWEEN } from './rows/paths';
import { REMOVALS } from './rows/removals';
import { CASCADED_SAVES, SAVES } from './rows/saves';
import { DELETES, TARGETS } from './rows/targets';
import { TRACKED, UNCOUNTED } from './rows/tracked';
import { TRANSACTIONS } from './rows/transactions';
import { SEEN_TRIGGERS } from './rows/triggers';
import { UNSEEN } from './rows/unseen';
import { measuredPart, render, type Row, withMeasuredPart } from './table';
import { warmUp } from './warm-up';
import { Wire } from './wire';
import { openWorlds, type Worlds } from './worlds';
import type { WritePath } from './write-path';

const PATHS: readonly WritePath[] = [
  [SAVES, CASCADED_SAVES, REMOVALS, INSERTS, CRITERIA, BUILDERS, RELATIONS, JUNCTIONS],
  [DELETES, TARGETS, PATH_SOURCES, ROWS_BETWEEN, TRANSACTIONS, TRACKED, UNCOUNTED, SEEN_TRIGGERS, UNSEEN],
].flat(2);

const DOCUMENT = join(__dirname, '../../../docs/write-paths.md');

let server: PostgresServer;
let wire: Wire;
let worlds: Worlds;
const rows: Row[] = [];

beforeAll(async () => {
  // The server of the run allows no PREPARE TRANSACTION, and transactions of other tests would hold up recounts.
  server = await startPostgres({ settings: { max_prepared_transactions: '2' } });
  process.env['DATABASE_URL'] = server.url;
  wire = new Wire();
  worlds = await openWorlds();
  await warmUp(worlds);
});
afterAll(async () => {
  wire.close();
  await worlds.close();
  await server.stop();
});

async function measureOn(
  version: string,
  path: WritePath,
  plain: Awaited<ReturnType<typeof measurePlain>>,
): Promise<Measured> {
  worlds.pretend(version);
  return measure(worlds, wire, path, plain);
}

test.each(PATHS.map((path) => [path.group, path.name, path] as const))('%s: %s', async (_group, _name, path) => {
  const plain = await measurePlain(worlds, wire, path);
  const current = await measureOn('18', path, plain);
  expect(current.captured).toEqual(path.captured);
  const earlier = await measureOn('17.0', path, plain);
  expect(earlier.captured).toEqual(path.captured);
  expect(earlier.extra.transactions).toBe(current.extra.transactions);
  expect(worlds.takeErrors().map((error) => (error as { code?: string }).code)).toEqual(path.reports ?? []);
  rows.push({ path, current, earlier });
});

test('docs/write-paths.md says the same', () => {
  expect(rows.map(({ path }) => path.name)).toEqual(PATHS.map(({ name }) => name));
  const part = render(rows);
  if (process.env['UPDATE_DOCS'] === '1')
    writeFileSync(DOCUMENT, withMeasuredPart(readFileSync(DOCUMENT, 'utf8'), part));
  expect(measuredPart(readFileSync(DOCUMENT, 'utf8'))).toBe(part);
});
