import { InstanceChecker } from 'typeorm';

import type { Along } from './resolve-path';
import type { Hop } from '../model/walk';

type Conditions = Readonly<Record<string, unknown>>;

/**
 * Divides a `where` into what it says of the source's own columns, and what it says, nested under the relations of a
 * path, of the intermediate rows of a path.
 */
export function splitWhere(
  where: unknown,
  hops: readonly Hop[],
  report: (message: string) => void,
): { readonly own: unknown; readonly along: Along } {
  const [own, nested] = takeOut(where, hops[0]);
  const along: unknown[] = [];
  let rest = nested;
  for (const hop of hops.slice(1)) {
    const [conditions, further] = takeOut(rest, hop);
    along.push(conditions);
    rest = further;
  }
  if (rest !== undefined)
    report(
      `expected 'where' to look at the source and at intermediate rows between it and the target, got: conditions on the target, under '${hops.at(-1)?.relation.propertyPath}'. Use the source's own columns`,
    );
  return { own, along };
}

/** Conditions without those nested under a relation, and these; `undefined` when there are none. */
function takeOut(where: unknown, hop: Hop | undefined): readonly [unknown, unknown] {
  return hop === undefined ? [where, undefined] : takeOutAt(where, hop.relation.propertyPath.split('.'));
}

function takeOutAt(where: unknown, [property = '', ...deeper]: readonly string[]): readonly [unknown, unknown] {
  if (!isConditions(where) || !isConditions(where[property])) return [where, undefined];
  const { [property]: nested, ...others } = where;
  if (deeper.length === 0) return [others, nested];
  const [kept, taken] = takeOutAt(nested, deeper);
  return [{ ...others, [property]: kept }, taken];
}

function isConditions(value: unknown): value is Conditions {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !InstanceChecker.isFindOperator(value);
}
