import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { build } from 'esbuild';

import { createDatabase, type TestDatabase } from '../support/database';
import { deleteKeysOf, redisUrl } from '../support/redis';

const ROOT = join(__dirname, '..', '..');

let folder: string;
let database: TestDatabase;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'counter-cache-bundle-'));
  database = await createDatabase();
  execFileSync(process.execPath, [join(ROOT, '.ci', 'build.mjs'), join(folder, 'dist')], { cwd: ROOT });
});
afterAll(async () => {
  const installation = await database.installation();
  await database.drop();
  if (installation !== null) await deleteKeysOf(installation);
  rmSync(folder, { recursive: true, force: true });
});

/** Bundles the program, the built package and everything that they need into one file. */
async function bundle(file: string, isMinified: boolean): Promise<void> {
  const { metafile } = await build({
    entryPoints: [join(__dirname, 'bundled-program.ts')],
    bundle: true,
    minify: isMinified,
    // Names of entities are taken from names of classes.
    keepNames: true,
    platform: 'node',
    target: 'node20',
    outfile: file,
    alias: { 'typeorm-counter-cache': join(folder, 'dist', 'index.js') },
    nodePaths: [join(ROOT, 'node_modules')],
    // Drivers that TypeORM asks for in vain where they are not installed.
    plugins: [{ name: 'drivers', setup: (plugin) => plugin.onResolve({ filter: DRIVERS }, external) }],
    logLevel: 'silent',
    metafile: true,
  });
  expect(Object.keys(metafile.outputs)).toHaveLength(1);
}

const DRIVERS =
  /^(@google-cloud\/spanner|@sap\/hana-client.*|better-sqlite3|hdb-pool|mongodb|mssql|mysql2?|oracledb|pg-native|pg-query-stream|redis|sql\.js|sqlite3|typeorm-aurora-data-api-driver|react-native-sqlite-storage|@valkey\/.*|iovalkey|@opentelemetry\/.*)$/;

const external = (): { external: true } => ({ external: true });

test.each([false, true])(
  'bundled into one file, it runs where there is no node_modules (minified: %s)',
  async (isMinified) => {
    const alone = join(folder, `alone-${String(isMinified)}`);
    mkdirSync(alone);
    await bundle(join(alone, 'program.js'), isMinified);
    expect(readdirSync(alone)).toEqual(['program.js']);
    const output = execFileSync(process.execPath, ['program.js'], {
      cwd: alone,
      encoding: 'utf8',
      env: { ...process.env, NODE_PATH: '', PROGRAM_DATABASE: database.url, PROGRAM_REDIS: redisUrl() },
    });
    expect(JSON.parse(output)).toMatchObject({ postsCount: 1, read: 1, fixedCount: 0, unsettled: [] });
  },
);
