import type { CounterTarget, KeyColumn } from '../counter/definition';
import type { PathLink } from './links';
import type { TablePlan } from './plan';

/** A table from which deletions, or changes of keys, spread. */
export interface Spreading {
  readonly plan: TablePlan;
  readonly edges: readonly SpreadingEdge[];
}

/** The foreign key by which they spread to a table. */
export interface SpreadingEdge {
  readonly child: Spreading;
  /** What becomes of the referring rows; `undefined` when they follow a changed key. */
  readonly action?: 'CASCADE' | 'SET NULL';
  readonly foreignKeys: readonly KeyColumn[];
}

/**
 * Ids of the kinds of which some target may be wrong after rows of a table below went, or were changed, unseen. Rows that
 * count for the very row above are no concern: it is gone, or is recounted under its new key.
 */
export function unseenKinds(
  above: Spreading,
  edge: SpreadingEdge,
  found = new Set<string>(),
  seen = new Set<SpreadingEdge>(),
): ReadonlySet<string> {
  if (seen.has(edge)) return found;
  seen.add(edge);
  const { plan } = edge.child;
  for (const target of plan.counters.flatMap(({ targets }) => targets))
    if (!leadsBack(above, edge, target)) found.add(target.kind.id);
  for (const link of plan.links) if (!linksBack(above, edge, link)) found.add(link.kind.id);
  // Their own keys may have changed with what they refer to.
  if (edge.action === undefined) for (const { id } of plan.kinds) found.add(id);
  if (edge.action !== 'SET NULL') for (const below of edge.child.edges) unseenKinds(edge.child, below, found, seen);
  return found;
}

/** Whether a counter finds its target by the very foreign key: the row above, or what it leads to as the first of a path. */
function leadsBack({ plan }: Spreading, { foreignKeys }: SpreadingEdge, target: CounterTarget): boolean {
  if (target.type !== null) return false;
  const { tablePath } = plan.metadata;
  if (target.path !== null)
    return target.path.steps[0]?.metadata.tablePath === tablePath && areSame(target.path.entry, foreignKeys);
  return target.kind.tablePath === tablePath && areSame(target.foreignKeys, foreignKeys);
}

function linksBack({ plan }: Spreading, { foreignKeys }: SpreadingEdge, { kind, step, further }: PathLink): boolean {
  const next = further[0]?.metadata.tablePath ?? kind.tablePath;
  return next === plan.metadata.tablePath && areSame(step.foreignKeys, foreignKeys);
}

function areSame(left: readonly KeyColumn[], right: readonly KeyColumn[]): boolean {
  return left.length === right.length && left.every(({ name }) => right.some((other) => other.name === name));
}
