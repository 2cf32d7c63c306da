import type { EntitySchema } from 'typeorm';

import { ConfigurationError } from '../errors';
import { declare } from './declaration';
import type { AnyEntity, CounterCacheOptions } from './options';

/** Decorates a source class, or its relation property. */
export type CounterCacheDecorator = (target: object, property?: string | symbol) => void;

/**
 * Declares a counter column that is kept right while rows of the decorated class are written. Only records the options:
 * they are resolved, and mistakes reported, when counters are attached to a DataSource.
 *
 * On a class, several may be stacked; on a relation property, `relation` is inferred.
 *
 * @example
 * ```ts
 * \@Entity()
 * \@CounterCache<Post, User>({ relation: 'author', column: 'postsCount' })
 * export class Post {}
 * ```
 */
export function CounterCache<Source extends object = AnyEntity, Target extends object = AnyEntity>(
  options: CounterCacheOptions<Source, Target>,
): CounterCacheDecorator {
  return (target, property) => {
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
 * defineCounterCache<Post, User>(PostSchema, { relation: 'author', column: 'postsCount' });
 * ```
 */
export function defineCounterCache<Source extends object = AnyEntity, Target extends object = AnyEntity>(
  target: (abstract new (...args: never[]) => Source) | EntitySchema<Source>,
  options: CounterCacheOptions<Source, Target>,
): void {
  declare(target, { options, property: null, isStatic: false });
}
