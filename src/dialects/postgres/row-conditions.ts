import type { Counter, CounterTarget } from '../../model/definition';
import { escapeName } from './escape';

/** Which source rows count for a target, in SQL; user functions and the counter's `where` are not part of it. */
export function rowConditions(counter: Counter, target: CounterTarget, bind: (value: unknown) => string): string[] {
  return [
    ...(target.type === null ? [] : [`s.${escapeName(target.type.column)}::text = ${bind(target.type.value)}`]),
    ...(counter.deletedColumn === null ? [] : [`s.${escapeName(counter.deletedColumn)} IS NULL`]),
    ...(counter.discriminator === null
      ? []
      : [`s.${escapeName(counter.discriminator.column)}::text = ANY(${bind(counter.discriminator.values)}::text[])`]),
  ];
}
