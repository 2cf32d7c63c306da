import type { QueryRunner } from 'typeorm';

import { everyTarget } from '../counter/target';
import type { Catalogue } from '../dialects/postgres/catalogue/catalogue';
import { grantAllSql } from '../dialects/postgres/catalogue/grants';
import { NotPermittedError } from '../errors';
import { type Reach, reachOf } from '../sql/reach';
import { hiddenProblem } from '../sql/sight';
import { tableSql } from '../sql/table-names';
import type { TablePlan } from './plan';
import type { Roles } from './roles';
import { type Spreading, type SpreadingEdge, unseenKinds } from './unseen-kinds';

/** Told, each time, why targets are recounted that would not have to be if this process saw more. */
export type OnNotPermitted = (error: NotPermittedError) => void;

const ALL: Reach = { role: '', forbidden: new Set(), hidden: new Set() };

/**
 * What the role of a statement may lock and read of the tables that deletions and changes of keys spread to. Foreign keys
 * spread them whatever it may see.
 */
export class SpreadingReach {
  readonly onNotPermitted: OnNotPermitted;
  readonly #catalogue: Catalogue;
  readonly #roles: Roles;

  constructor(catalogue: Catalogue, roles: Roles, onNotPermitted: OnNotPermitted) {
    this.#catalogue = catalogue;
    this.#roles = roles;
    this.onNotPermitted = onNotPermitted;
  }

  /**
   * Looks; asks the database only where row security is switched on, or a privilege is missing as far as is known, or the
   * caller has set another role.
   */
  async look(runner: QueryRunner, node: Spreading): Promise<Sight> {
    const plans = plansOf(node);
    const isOwnRole = this.#roles.of(runner) === null;
    const isFree = isOwnRole && plans.every((plan) => !this.#isSecured(plan) && this.#isAllowed(plan));
    const wanted = plans.map((plan) => ({ table: tableOf(plan), columns: plan.columns }));
    return new Sight(isFree ? ALL : await reachOf(runner, wanted), this.onNotPermitted);
  }

  /** Whether row security is switched on for a table, whomever it concerns. */
  #isSecured({ metadata }: TablePlan): boolean {
    return this.#catalogue.tableAt(metadata.tablePath)?.isRowSecured === true;
  }

  #isAllowed({ metadata, columns }: TablePlan): boolean {
    const table = this.#catalogue.tableAt(metadata.tablePath);
    if (table === undefined) return true;
    return (
      table.canUseSchema &&
      table.privileges.update &&
      columns.every((name) => table.columns.get(name)?.canSelect !== false)
    );
  }
}

/** What the present role may lock and read, while one statement is captured. */
export class Sight {
  readonly #reach: Reach;
  readonly #onNotPermitted: OnNotPermitted;
  readonly #unseen: [above: Spreading, edge: SpreadingEdge, reason: TablePlan][] = [];

  constructor(reach: Reach, onNotPermitted: OnNotPermitted) {
    this.#reach = reach;
    this.#onNotPermitted = onNotPermitted;
  }

  /** Whether its rows can be locked and read at all. */
  mayLock(plan: TablePlan): boolean {
    return !this.#reach.forbidden.has(tableOf(plan));
  }

  /** Whether that gives all rows that there are. */
  seesAll(plan: TablePlan): boolean {
    return this.mayLock(plan) && !this.#reach.hidden.has(tableOf(plan));
  }

  /** Told that rows go, or change their keys, above an edge. Returns whether what refers to them can be read. */
  spreads(above: Spreading, edge: SpreadingEdge): boolean {
    if (!this.seesAll(edge.child.plan)) this.#unseen.push([above, edge, edge.child.plan]);
    return this.mayLock(edge.child.plan);
  }

  /** The same of everything below, where it is not known what goes. */
  spreadsUnseen(above: Spreading): void {
    for (const edge of above.edges) this.#unseen.push([above, edge, above.plan]);
  }

  /** Ids that ask for the recalculation of all targets that unseen rows may have counted for. */
  unseenTargets(): readonly string[] {
    const kinds = new Set<string>();
    for (const [above, edge, reason] of this.#unseen) {
      const found = unseenKinds(above, edge);
      for (const kind of found) kinds.add(kind);
      if (found.size > 0) this.#report(reason);
    }
    return [...kinds].map(everyTarget);
  }

  #report(plan: TablePlan): void {
    const { role } = this.#reach;
    const table = tableOf(plan);
    const missing = ['SELECT', 'UPDATE'].map((privilege) => ({ privilege, columns: [] }));
    const problem = this.mayLock(plan)
      ? hiddenProblem(table, role)
      : `role ${role} may not lock and read rows of ${table}. ${grantAllSql(missing, table, role)}`;
    const summary = `rows that a foreign key deletes or changes cannot be seen: all targets that they may count for are recounted, which is expensive`;
    this.#onNotPermitted(new NotPermittedError(summary, [problem], { role, table }));
  }
}

function tableOf({ metadata }: TablePlan): string {
  return tableSql(metadata);
}

/** The plans of a node and of all below it, one per table. */
export function plansOf(node: Spreading): readonly TablePlan[] {
  const found = new Map<string, TablePlan>();
  const visit = ({ plan, edges }: Spreading): void => {
    const { tablePath } = plan.metadata;
    if (found.has(tablePath)) return;
    found.set(tablePath, plan);
    for (const { child } of edges) visit(child);
  };
  visit(node);
  return [...found.values()];
}
