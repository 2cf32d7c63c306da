import type { DataSource, QueryRunner } from 'typeorm';

import type { Catalogue } from '../dialects/postgres/catalogue/catalogue';
import { readCatalogue } from '../dialects/postgres/catalogue/read-catalogue';
import { sequenceSql } from '../dialects/postgres/catalogue/grants';
import { isInsufficientPrivilege } from '../dialects/postgres/privilege-error';
import { NotPermittedError } from '../errors';
import {
  missingPrivileges,
  Needs,
  ownNeed,
  problemsOf,
  stepColumns,
  type TableNeed,
} from '../dialects/postgres/permissions/permissions';
import { asRole } from '../dialects/postgres/as-role';
import { escapeName, escapePath, literal } from '../dialects/postgres/escape';
import { rowsOf, type SqlQuery } from '../dialects/postgres/query';
import { type OwnTables, ownTables } from '../dialects/postgres/installation/tables';
import type { TablePlan } from './plan';
import type { Roles } from './transaction/roles';

/** A write that the database refused. */
export interface RefusedWrite {
  /** What is read of the written table. */
  readonly plan: TablePlan;
  /** Of those that foreign keys spread it to: what may not be locked and read there is done without. */
  readonly below: readonly TablePlan[];
  /** Its rows are locked first. */
  readonly locks: boolean;
  /** Its deltas go to the outbox. */
  readonly usesOutbox: boolean;
  /** The caller's statement, without what is ours. */
  readonly plain: () => SqlQuery;
  readonly runner: QueryRunner | null;
}

/**
 * Distinguishes a refusal that is the library's doing from the caller's own. A role may be allowed to write, and not to do what
 * counting needs besides: return columns, lock and read rows, write to the outbox.
 */
export class Refusals {
  readonly #dataSource: DataSource;
  readonly #roles: Roles;

  constructor(dataSource: DataSource, roles: Roles) {
    this.#dataSource = dataSource;
    this.#roles = roles;
  }

  /** What a write is to be rejected with; the very error unless it is known to be ours. */
  async explain(error: unknown, write: RefusedWrite): Promise<unknown> {
    if (!isInsufficientPrivilege(error) || error instanceof NotPermittedError) return error;
    return this.#find(error, write.runner, { needs: needsOf(write), usesOutbox: write.usesOutbox, plain: write.plain });
  }

  /** The same for what is written to the outbox before COMMIT. */
  async explainOutbox(error: unknown, runner: QueryRunner | null): Promise<unknown> {
    if (!isInsufficientPrivilege(error)) return error;
    return this.#find(error, runner, { needs: [], usesOutbox: true, plain: null });
  }

  async #find(cause: unknown, runner: QueryRunner | null, { needs, usesOutbox, plain }: Sought): Promise<unknown> {
    const own = ownTables(this.#dataSource);
    try {
      return await asRole(this.#dataSource, this.#roles.of(runner), async (side) => {
        const paths = [...needs.map(({ path }) => path), own.outbox];
        const catalogue = await readCatalogue((...query) => rowsOf(side, ...query), paths);
        const { role } = catalogue;
        const problems = [...missingPrivileges(catalogue, needs)];
        if (usesOutbox)
          problems.push(...problemsOf(catalogue, [outboxNeed(own)]), ...(await sequenceProblems(side, own, role)));
        const [sql = '', parameters] = plain?.() ?? [];
        problems.push(...returningProblems(catalogue, needs, sql));
        if (problems.length === 0) return cause;
        // What is refused as it is, is the caller's own. Nothing is executed.
        if (sql !== '') await side.query(`EXPLAIN ${sql}`, parameters);
        const summary = `role ${role} may make this write, but not what counting it needs; nothing was written`;
        return new NotPermittedError(summary, problems, { role }, { cause });
      });
    } catch {
      return cause;
    }
  }
}

/** What is looked for when something was refused. */
interface Sought {
  readonly needs: readonly TableNeed[];
  readonly usesOutbox: boolean;
  /** The caller's statement; `null` where that was made already. */
  readonly plain: (() => SqlQuery) | null;
}

/**
 * A row that an INSERT returns has to be visible; without RETURNING it has not. Known for certain only where the policies
 * admit every row.
 */
function returningProblems(catalogue: Catalogue, needs: readonly TableNeed[], sql: string): readonly string[] {
  const table = catalogue.tableAt(needs[0]?.path ?? '');
  if (table === undefined || !sql.startsWith('INSERT ') || sql.includes(' RETURNING ')) return [];
  if (!table.reachesAll.insert || table.reachesAll.select) return [];
  const { role } = catalogue;
  const reason = `row security may hide from role ${role} what it inserts into ${table.sql}, and counting returns it`;
  const policy = `CREATE POLICY counter_cache_returning ON ${table.sql} FOR SELECT TO ${escapeName(role)}`;
  return [
    `${reason}. Give it a policy that shows what it inserts: ${policy} USING (<the condition of its INSERT policy>)`,
  ];
}

function needsOf({ plan, below, locks }: RefusedWrite): readonly TableNeed[] {
  const needs = new Needs();
  const { tablePath } = plan.metadata;
  needs.add(tablePath, { select: plan.columns });
  for (const { counters, links } of [plan, ...below]) {
    const steps = [
      ...counters.flatMap(({ targets }) => targets.flatMap(({ path }) => path?.steps ?? [])),
      ...links.flatMap(({ further }) => further),
    ];
    for (const step of steps) needs.add(step.metadata.tablePath, { select: stepColumns(step) });
  }
  return needs.list().map((need) => ({ ...need, locks: locks && need.path === tablePath }));
}

function outboxNeed({ outbox }: OwnTables): TableNeed {
  return { ...ownNeed(outbox, { insert: true }), delete: true };
}

async function sequenceProblems(runner: QueryRunner, { outbox }: OwnTables, role: string): Promise<readonly string[]> {
  const sequence = `pg_get_serial_sequence(${literal(escapePath(outbox))}, 'id')`;
  const [row] = await rowsOf(
    runner,
    `SELECT s.name, has_sequence_privilege(s.name, 'USAGE, UPDATE') AS allowed FROM (SELECT ${sequence} AS name) s WHERE s.name IS NOT NULL`,
  );
  if (row === undefined || row['allowed'] === true) return [];
  const name = String(row['name']);
  return [`role ${role} lacks USAGE on sequence ${name}. ${sequenceSql(name, role)}`];
}
