import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { nameOf } from './expected-errors';
import { type Run, versionOf } from './run-options';
import { ENTITIES } from './schema';

/** Lines of the journal that the message shows; the file has all. */
const SHOWN = 60;

/** The error of a run with all that is needed to understand and repeat it. */
export async function explained(run: Run, error: unknown): Promise<Error> {
  const { mode, seed, operations, journal } = run;
  const lines = journal.operations();
  const file = join(tmpdir(), `oracle-${mode}-${seed}.txt`);
  const statements = ['statements since the last comparison:', ...journal.statements()];
  const rows = await rowsOf(run).catch((reason: unknown) => [nameOf(reason)]);
  writeFileSync(file, [...lines, '', ...statements, '', 'rows:', ...rows, ''].join('\n'));
  const text = [
    `${mode} run of seed ${seed}, PostgreSQL ${versionOf(seed)}: ${nameOf(error)}`,
    `repeat: ORACLE_SEED=${seed} ORACLE_OPERATIONS=${operations} npx jest test/integration/oracle/${mode}`,
    `operations (all, with statements and rows, in ${file}):`,
    ...lines.slice(-SHOWN),
    ...(mode === 'sequential' ? statements : []),
  ];
  return new Error(text.join('\n'), { cause: error });
}

/** All rows there are, one a line. */
async function rowsOf({ fixture: { dataSource } }: Run): Promise<string[]> {
  const lines: string[] = [];
  for (const entity of ENTITIES) {
    const { tableName } = dataSource.getMetadata(entity);
    const rows: { row: object }[] = await dataSource.query(
      `SELECT to_json(t) AS row FROM "${tableName}" t ORDER BY id`,
    );
    lines.push(...rows.map(({ row }) => `${tableName} ${JSON.stringify(row)}`));
  }
  return lines;
}
