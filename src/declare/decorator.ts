import type { EntitySchema } from 'typeorm';

import { ConfigurationError } from '../errors';
import { declare } from './declaration';
import type { Mistakes, Named, RequiredShape } from './inferred';
import type { CounterCacheOptions } from './options';
import type { AnyEntity } from '../model/property-types';

/** Decorates a source class, or its relation property, that fits the options. */
export interface CounterCacheDecorator<Source extends object, Target extends object, Given> {
  <Class extends { readonly prototype: object }>(
    target: Fitting<Class, Class['prototype'], Source, Checked<Class['prototype'], Target, Given, never>>,
  ): void;
  /** First where the relation's type is a type parameter: the other one's message is better. */
  <Property extends string>(target: RequiredShape<Source, NoInfer<Given>, Property>, property: Property): void;
  <Owner extends object, Property extends string>(
    target: Fitting<Owner, Owner, Source, Checked<Owner, Target, Given, Property>>,
    property: Property,
  ): void;
}

/** Mistakes that can only be seen where the options are used; those of a target that is named were seen before. */
type Checked<Source, Target, Given, Decorated extends string> = [Given] extends [never]
  ? never
  : string extends keyof Target
    ? Mistakes<Source, Given, Decorated>
    : never;

type Fitting<Decorated, Entity, Source, Mistake> =
  Entity extends Named<Source> ? ([Mistake] extends [never] ? Decorated : Mistake) : Source;

type Valid<Mistake> = [Mistake] extends [never] ? unknown : Mistake;

/**
 * Declares a counter column that is kept right while rows of the decorated class are written. Only records the options:
 * they are resolved, and mistakes reported, when counters are attached to a DataSource.
 *
 * On a class, several may be stacked; on a relation property, `relation` is inferred. Without type arguments, the compiler
 * finds the target by the relation, and checks the options against it; with them, editors complete the names as well.
 *
 * @example
 * ```ts
 * \@Entity()
 * \@CounterCache<Post, User>({ relation: 'author', column: 'postsCount' })
 * export class Post {}
 * ```
 */
export function CounterCache<
  Source extends object = AnyEntity,
  Target extends object = AnyEntity,
  const Given extends object = CounterCacheOptions<Source, Target>,
>(
  options: Given & CounterCacheOptions<Source, Target>,
): CounterCacheDecorator<NoInfer<Source>, NoInfer<Target>, NoInfer<Given>> {
  return (target: object, property?: string | symbol) => {
    if (typeof property === 'string') {
      const isStatic = typeof target === 'function';
      declare(isStatic ? target : target.constructor, { options, property, isStatic });
    } else if (typeof target === 'function') {
      declare(target, { options, property: null, isStatic: false });
    } else {
      throw new ConfigurationError([
        'expected @CounterCache on a class or on a property with a name. Set "experimentalDecorators": true in tsconfig.json, as TypeORM needs it too',
      ]);
    }
  };
}

/**
 * Declares a counter for an `EntitySchema`, or for a class that one cannot edit. Only records the options.
 *
 * @example
 * ```ts
 * defineCounterCache(PostSchema, { relation: 'author', column: 'postsCount' });
 * ```
 */
export function defineCounterCache<
  Source extends object = AnyEntity,
  Target extends object = AnyEntity,
  const Given extends object = CounterCacheOptions<Source, Target>,
>(
  target: (abstract new (...args: never[]) => Source) | EntitySchema<Source>,
  options: Given &
    CounterCacheOptions<Source, Target> &
    Valid<Checked<NoInfer<Source>, NoInfer<Target>, NoInfer<Given>, never>>,
): void {
  declare(target, { options, property: null, isStatic: false });
}
