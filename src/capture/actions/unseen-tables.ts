import type { CounterTarget, KeyColumn } from '../../model/definition';
import { type ActionEdge, type ActionNode, reactionOf, type RowEvent, withDerived } from './actions-plan';
import type { PathLink } from './links';

/** An action of the database that reaches rows which cannot be seen. */
export interface UnseenAction {
  readonly above: ActionNode;
  readonly edge: ActionEdge;
  /** What happens to the rows above. */
  readonly event: RowEvent;
}

/**
 * Ids of the target tables of which some target may be wrong after rows of a table below went, or were changed, unseen. Rows that
 * count for the very row above are no concern: it is gone, or is recounted under its new key. Unless they count for another
 * row of its table by now.
 */
export function unseenTables(
  { above, edge, event }: UnseenAction,
  found = new Set<string>(),
  seen = new Map<ActionEdge, Set<string>>(),
): ReadonlySet<string> {
  const reaction = reactionOf(edge, event);
  const label = event === 'gone' ? event : [...event].toSorted().join('\u0000');
  const events = seen.get(edge) ?? new Set();
  if (reaction === null || events.has(label)) return found;
  seen.set(edge, events.add(label));
  const { child } = edge;
  const further = withDerived(child, reaction);
  const isMoved = maySwitch(edge, event);
  const { counters, links, targetTables } = child.plan ?? { counters: [], links: [], targetTables: [] };
  for (const target of counters.flatMap(({ targets }) => targets))
    if (isMoved || !leadsBack(above, edge, target)) found.add(target.targetTable.id);
  for (const link of links) if (isMoved || !linksBack(above, edge, link)) found.add(link.targetTable.id);
  // Their own keys may have changed with what they refer to.
  for (const { id, keys } of targetTables)
    if (further !== 'gone' && keys.some(({ name }) => further.has(name))) found.add(id);
  for (const below of child.edges) unseenTables({ above: child, edge: below, event: further }, found, seen);
  return found;
}

/** Whether a row below may come to refer to another row than the one above: by defaults, or by what the database derives. */
function maySwitch({ child, foreignKeys, onDelete, onUpdate }: ActionEdge, event: RowEvent): boolean {
  const action = event === 'gone' ? onDelete : onUpdate;
  if (action === 'SET DEFAULT') return true;
  const derived = action === 'CASCADE' && event === 'gone' ? 'gone' : withDerived(child, new Set());
  return derived !== 'gone' && foreignKeys.some(({ name }) => derived.has(name));
}

/** Whether a counter finds its target by the very foreign key: the row above, or what it leads to as the first of a path. */
function leadsBack({ plan }: ActionNode, { foreignKeys }: ActionEdge, target: CounterTarget): boolean {
  if (target.type !== null) return false;
  const tablePath = plan?.metadata.tablePath;
  if (target.path !== null)
    return target.path.steps[0]?.metadata.tablePath === tablePath && areSame(target.path.entry, foreignKeys);
  return target.targetTable.tablePath === tablePath && areSame(target.foreignKeys, foreignKeys);
}

function linksBack(
  { plan }: ActionNode,
  { foreignKeys }: ActionEdge,
  { targetTable, step, further }: PathLink,
): boolean {
  const next = further[0]?.metadata.tablePath ?? targetTable.tablePath;
  return next === plan?.metadata.tablePath && areSame(step.foreignKeys, foreignKeys);
}

function areSame(left: readonly KeyColumn[], right: readonly KeyColumn[]): boolean {
  return left.length === right.length && left.every(({ name }) => right.some((other) => other.name === name));
}
