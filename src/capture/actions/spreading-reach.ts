import type { QueryRunner } from 'typeorm';

import { everyTarget } from '../../model/target';
import { grantAllSql } from '../../dialects/postgres/catalogue/grants';
import { NotPermittedError } from '../../errors';
import { type Reach, reachOf } from '../../dialects/postgres/reach';
import { hiddenProblem } from '../../dialects/postgres/sight';
import type { ActionNode, RowEvent } from './actions-plan';
import type { Roles } from '../transaction/roles';
import { type UnseenAction, unseenTables } from './unseen-tables';

/** Receives, each time, why targets are recounted that would not have to be if this process saw more. */
export type OnNotPermitted = (error: NotPermittedError) => void;

const ALL: Reach = { role: '', forbidden: new Set(), hidden: new Set() };

/**
 * What the role of a statement may lock and read of the tables that deletions and changes of keys spread to. Foreign keys
 * spread them, visible or not.
 */
export class SpreadingReach {
  readonly onNotPermitted: OnNotPermitted;
  readonly #roles: Roles;

  constructor(roles: Roles, onNotPermitted: OnNotPermitted) {
    this.#roles = roles;
    this.onNotPermitted = onNotPermitted;
  }

  /**
   * Looks; asks the database only where row security is switched on, or a privilege is missing as far as is known, or the
   * caller has set another role.
   */
  async look(runner: QueryRunner, node: ActionNode): Promise<Sight> {
    const nodes = nodesOf(node);
    const isOwnRole = this.#roles.of(runner) === null;
    const isFree = isOwnRole && nodes.every((one) => isOpen(one));
    const wanted = nodes.map(({ name, reads }) => ({ table: name, columns: reads.columns }));
    return new Sight(isFree ? ALL : await reachOf(runner, wanted), this.onNotPermitted);
  }
}

/** Whether no policy concerns anyone, and the role of this process may lock and read. */
function isOpen({ table, reads }: ActionNode): boolean {
  if (table === undefined) return true;
  if (table.isRowSecured || !table.canUseSchema || !table.privileges.update) return false;
  return reads.columns.every((name) => table.columns.get(name)?.canSelect !== false);
}

/** What the present role may lock and read, while one statement is captured. */
export class Sight {
  readonly #reach: Reach;
  readonly #onNotPermitted: OnNotPermitted;
  readonly #unseen: (readonly [UnseenAction, reason: ActionNode])[] = [];

  constructor(reach: Reach, onNotPermitted: OnNotPermitted) {
    this.#reach = reach;
    this.#onNotPermitted = onNotPermitted;
  }

  /** Whether its rows can be locked and read at all. */
  mayLock({ name }: ActionNode): boolean {
    return !this.#reach.forbidden.has(name);
  }

  /** Whether that gives all rows that there are. */
  seesAll(node: ActionNode): boolean {
    return this.mayLock(node) && !this.#reach.hidden.has(node.name);
  }

  /** Notes what happens to rows above an edge. Returns whether what refers to them can be read. */
  spreads(action: UnseenAction): boolean {
    const { child } = action.edge;
    if (!this.seesAll(child)) this.#unseen.push([action, child]);
    return this.mayLock(child);
  }

  /** The same of everything below, where it is not known what goes. */
  spreadsUnseen(above: ActionNode, event: RowEvent): void {
    for (const edge of above.edges) this.#unseen.push([{ above, edge, event }, above]);
  }

  /** Ids that ask for the recalculation of all targets that unseen rows may have counted for. */
  unseenTargets(): readonly string[] {
    const tableIds = new Set<string>();
    for (const [action, reason] of this.#unseen) {
      const found = unseenTables(action);
      for (const tableId of found) tableIds.add(tableId);
      if (found.size > 0) this.#report(reason);
    }
    return [...tableIds].map(everyTarget);
  }

  #report(node: ActionNode): void {
    const { role } = this.#reach;
    const { name: table } = node;
    const missing = ['SELECT', 'UPDATE'].map((privilege) => ({ privilege, columns: [] }));
    const problem = this.mayLock(node)
      ? hiddenProblem(table, role)
      : `role ${role} may not lock and read rows of ${table}. ${grantAllSql(missing, table, role)}`;
    const summary = `rows that a foreign key deletes or changes cannot be seen: all targets that they may count for are recounted, which is expensive`;
    this.#onNotPermitted(new NotPermittedError(summary, [problem], { role, table }));
  }
}

/** A node and all below it, one per table. */
function nodesOf(node: ActionNode): readonly ActionNode[] {
  const found = new Map<string, ActionNode>();
  const visit = (at: ActionNode): void => {
    if (found.has(at.name)) return;
    found.set(at.name, at);
    for (const { child } of at.edges) visit(child);
  };
  visit(node);
  return [...found.values()];
}
