import { serverUrl } from './database';
import { type PostgresServer, type PostgresVersion, startPostgres } from './services';

/** The version of this run, whose statements return old rows, and a real one of those before, whose do not. */
const VERSIONS = [18, 15] as const satisfies readonly PostgresVersion[];

/** One of the versions on which tests run. */
export type TestedVersion = (typeof VERSIONS)[number];

/**
 * Declares the same tests for PostgreSQL 18, which is that of this run, and for an older one, which is started for them.
 * `server` gives the URL of a superuser, once the tests run.
 */
export function describeVersions(name: string, tests: (server: () => string, version: TestedVersion) => void): void {
  describe.each(VERSIONS)(`${name}, PostgreSQL %i`, (version) => {
    let started: PostgresServer | null = null;
    beforeAll(async () => {
      if (version !== 18) started = await startPostgres({ version });
    });
    tests(() => started?.url ?? serverUrl(), version);
    // Behind those of the tests, which run in the order in which they are declared.
    afterAll(async () => {
      await started?.stop();
    });
  });
}
