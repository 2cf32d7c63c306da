import type { Row } from '../counter/definition';
import { keyText } from '../counter/target';
import type { Affected } from './cascade';
import type { CascadeEdge, CascadeNode } from './cascade-plan';
import { textOf } from './row-text';

/**
 * What goes with some of the rows that were to be deleted: the others were kept, by a policy or by a trigger. Told what
 * would have gone with all of them.
 */
export function affectedBy(
  node: CascadeNode,
  deleted: readonly Row[],
  affected: ReadonlyMap<string, Affected>,
): ReadonlyMap<string, Affected> {
  const found = new Map<string, Affected>();
  const visit = ({ edges }: CascadeNode, rows: readonly Row[]): void => {
    for (const edge of edges) {
      const removed: Row[] = [];
      for (const [name, { plan, row }] of referringTo(edge, rows, affected)) {
        const known = found.get(name) ?? { plan, row, removed: false, nulled: new Set() };
        found.set(name, known);
        if (edge.action === 'SET NULL') for (const key of edge.foreignKeys) known.nulled.add(key.name);
        else if (!known.removed) {
          known.removed = true;
          removed.push(row);
        }
      }
      if (removed.length > 0) visit(edge.child, removed);
    }
  };
  visit(node, deleted);
  return found;
}

function referringTo(
  { child, foreignKeys, referenced }: CascadeEdge,
  rows: readonly Row[],
  affected: ReadonlyMap<string, Affected>,
): [string, Affected][] {
  const types = foreignKeys.map(({ sqlType }) => sqlType);
  const textsOf = (row: Row, names: readonly string[]): string =>
    JSON.stringify(names.map((name, i) => keyText(textOf(row, name), types[i])));
  const keys = new Set(rows.map((row) => textsOf(row, referenced)));
  const names = foreignKeys.map(({ name }) => name);
  return [...affected].filter(([, { plan, row }]) => plan === child.plan && keys.has(textsOf(row, names)));
}
