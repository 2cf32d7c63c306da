import type { EntityLike } from './options';

/** One recorded declaration: as written, not yet checked. */
export interface Declaration {
  readonly options: unknown;
  /** The decorated relation property, or `null` when a class or schema was decorated. */
  readonly property: string | null;
  /** The decorated property is static. */
  readonly isStatic: boolean;
}

// Symbol.for, so that two copies of the package agree.
const COUNTERS = Symbol.for('typeorm-counter-cache.counters');
const DECLARED = Symbol.for('typeorm-counter-cache.declared');

interface Declared {
  [COUNTERS]?: Declaration[];
}

function declaredSet(): Set<EntityLike> {
  const scope = globalThis as { [DECLARED]?: Set<EntityLike> };
  return (scope[DECLARED] ??= new Set());
}

/** Records a declaration on the class or schema itself: a subclass inherits nothing. */
export function declare(target: EntityLike, declaration: Declaration): void {
  const holder = target as Declared;
  if (!Object.hasOwn(target, COUNTERS)) Object.defineProperty(target, COUNTERS, { value: [], configurable: true });
  holder[COUNTERS]?.push(declaration);
  declaredSet().add(target);
}

/** The declarations of this very class or schema, in the order in which they are written. */
export function declarationsOf(target: unknown): readonly Declaration[] {
  if (target === null || (typeof target !== 'function' && typeof target !== 'object')) return [];
  if (!Object.hasOwn(target, COUNTERS)) return [];
  // Decorators are evaluated bottom up.
  return [...((target as Declared)[COUNTERS] ?? [])].toReversed();
}

/** Every class and schema of this process that carries a declaration. */
export function declaredTargets(): Iterable<EntityLike> {
  return declaredSet();
}
