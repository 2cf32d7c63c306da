import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { nameOf } from './expected-errors';
import { type Run, versionOf } from './run-options';

/** Lines of the journal that the message shows; the file has all. */
const SHOWN = 60;

/** The error of a run with all that is needed to understand and repeat it. */
export async function explained(run: Run, error: unknown): Promise<Error> {
  const { mode, seed, journal, setting, server } = run;
  const lines = journal.operations();
  const file = join(tmpdir(), `oracle-${mode}-${setting.name}-${server?.version ?? 18}-${seed}.txt`);
  const statements = ['statements since the last comparison:', ...journal.statements()];
  const rows = await rowsOf(run).catch((reason: unknown) => [nameOf(reason)]);
  writeFileSync(file, [...lines, '', ...statements, '', 'rows:', ...rows, ''].join('\n'));
  const text = [
    `${mode} run of seed ${seed}, world ${setting.name}, PostgreSQL ${versionOf(seed, server)}: ${nameOf(error)}`,
    `repeat: ${repeat(run)}`,
    `last operation: ${lastOperation(lines).join(' / ')}`,
    `operations (all, with statements and rows, in ${file}):`,
    ...lines.slice(-SHOWN),
    ...(mode === 'sequential' ? statements : []),
  ];
  return new Error(text.join('\n'), { cause: error });
}

/** The command that makes the same run again. */
function repeat({ mode, seed, operations, setting, server }: Run): string {
  const file = mode === 'sequential' && setting.name !== 'plain' ? 'worlds' : mode;
  const variables = `ORACLE_WORLD=${setting.name} ORACLE_SEED=${seed} ORACLE_OPERATIONS=${operations}`;
  return `${variables} npx jest test/integration/oracle/${file} -t 'PostgreSQL ${server?.version ?? 18}'`;
}

/** What was done since the last comparison. */
function lastOperation(lines: readonly string[]): readonly string[] {
  return lines.slice(lines.findLastIndex((line) => line.startsWith('#') || line.startsWith('round from')));
}

/** All rows there are, one a line. */
async function rowsOf({ fixture, sql, surroundings: { schemas } }: Run): Promise<string[]> {
  const lines: string[] = [];
  const tables = fixture.dataSource.entityMetadatas.map(({ tableName }) => tableName);
  for (const schema of schemas)
    for (const table of tables.filter((name) => !name.startsWith('counter_cache'))) {
      const { rows } = await sql.query<{ row: object }>(
        `SELECT to_json(t) AS row FROM ${schema}."${table}" t ORDER BY 1::text`,
      );
      lines.push(...rows.map(({ row }) => `${schema}.${table} ${JSON.stringify(row)}`));
    }
  const { rows: state } = await sql.query<{ id: string; value: string }>(
    'SELECT * FROM public.counter_cache_state ORDER BY id',
  );
  lines.push(...state.map(({ id, value }) => `public.counter_cache_state ${id} ${value}`));
  return lines;
}
