import type { EntityManager, EntitySchema, FindOptionsWhere } from 'typeorm';

import type { Mode } from '../model/mode';
import type { AnyEntity, Countable, PathsOf, PointInTime, PropertyPath } from '../model/property-types';

/** A class mapped by TypeORM, or an `EntitySchema`. */
export type EntityLike = Function | EntitySchema<never> | EntitySchema<AnyEntity>;

/** A target chosen per row by a type column. */
export interface PolymorphicOptions<Source extends object> {
  /** Property of the source that holds the target's primary key. */
  id: PropertyPath<Source>;
  /** Property of the source that holds the target's type. */
  type: PropertyPath<Source>;
  /** Value of the type column → entity; each must have exactly one primary column. Called once, when counters are attached. */
  targets: () => Readonly<Record<string, EntityLike>>;
  /**
   * Types that have no counter of their own and are ignored silently; other unknown types are reported.
   *
   * @defaultValue none
   */
  ignore?: readonly string[] | undefined;
  /**
   * Further relations, from the row that `id` names to the target: `'product.category'`, or an object with a path for
   * each type. For types without one the row itself is the target.
   *
   * @defaultValue none
   */
  path?: string | Readonly<Record<string, string>> | undefined;
}

/**
 * One counter column and what feeds it. Functions are synchronous and pure, and see the source's own columns, hydrated;
 * no relations.
 */
export interface CounterCacheOptions<Source extends object = AnyEntity, Target extends object = AnyEntity> {
  /**
   * Owner-side many-to-one or one-to-one relation from source to target, or a path through several:
   * `'review.product.category'`. After the first step, one-to-one relations may be followed from either side. Either
   * this, `junction` or `polymorphic`.
   *
   * @defaultValue the decorated property
   */
  relation?: PropertyPath<NoInfer<Source>> | undefined;
  /**
   * Many-to-many relation of the decorated class, from either side; instead of `relation`. Counts, on rows of that class
   * itself, the rows of the junction table: `{ junction: 'groups', column: 'groupsCount' }`.
   *
   * @defaultValue off
   */
  junction?: PropertyPath<NoInfer<Source>> | undefined;
  /**
   * Target chosen per row by a type column; instead of `relation`.
   *
   * @defaultValue off
   */
  polymorphic?: PolymorphicOptions<NoInfer<Source>> | undefined;
  /**
   * Counter column of the target, a number; a function picks it per row (`null` counts nowhere), then list `columns`.
   */
  column: PathsOf<NoInfer<Target>, Countable> | ((source: Source) => PathsOf<NoInfer<Target>, Countable> | null);
  /**
   * Every column a dynamic `column` may return.
   *
   * @defaultValue none; required with a dynamic `column`, refused otherwise
   */
  columns?: readonly PathsOf<NoInfer<Target>, Countable>[] | undefined;
  /**
   * Rows for which it is false contribute 0.
   *
   * @defaultValue every row counts
   */
  if?: ((source: Source) => boolean) | undefined;
  /**
   * The same, declaratively: own columns, and, nested under the relations of a path, columns of the intermediate rows, with
   * values and TypeORM's operators, except `ILike`, `JsonContains`, `Raw` and orderings of text; a list (of own columns)
   * means OR. Evaluated in JS on writes and in SQL on recalculation.
   *
   * @defaultValue every row counts
   */
  where?: FindOptionsWhere<NoInfer<Source>> | readonly FindOptionsWhere<NoInfer<Source>>[] | undefined;
  /**
   * Amount of one row: a constant, a numeric property of the source, or a function. A bigint means whole units.
   *
   * @defaultValue 1
   */
  incrementBy?:
    | number
    | bigint
    | PathsOf<NoInfer<Source>, Countable>
    | ((source: Source) => number | bigint)
    | undefined;
  /**
   * Timestamp written together with the counter: `true` is the target's `@UpdateDateColumn`.
   *
   * @defaultValue off
   */
  touch?: true | PathsOf<NoInfer<Target>, PointInTime> | undefined;
  /**
   * How long a delta may wait, in ms.
   *
   * @defaultValue `wait` of the configuration
   */
  wait?: number | ((source: Source) => number) | undefined;
  /**
   * Properties of the source that the functions look at: an update of other columns is irrelevant.
   *
   * @defaultValue all columns
   */
  reads?: readonly PropertyPath<NoInfer<Source>>[] | undefined;
  /**
   * Schedule a delayed full recalculation after writes.
   *
   * @defaultValue true
   */
  recalculation?: boolean | undefined;
  /**
   * Delay of that recalculation, in ms, from the first write not yet covered.
   *
   * @defaultValue `recalculationDelay` of the configuration
   */
  recalculationDelay?: number | undefined;
  /**
   * Custom recount, where SQL cannot express it: the name of a method of the target that takes an `EntityManager`, or a
   * function.
   *
   * @defaultValue recounted from the source rows
   */
  method?: string | ((target: Target, manager: EntityManager) => Promise<number | bigint | string>) | undefined;
  /**
   * Count soft-deleted rows too.
   *
   * @defaultValue false
   */
  includeSoftDeleted?: boolean | undefined;
  /**
   * Due at once when the absolute pending delta of a column reaches it.
   *
   * @defaultValue off
   */
  flushAt?: number | undefined;
  /**
   * Stable name, for `recalculate({ counter })` and messages.
   *
   * @defaultValue derived: `Post.author>User.postsCount`
   */
  name?: string | undefined;
  /**
   * Not available yet.
   *
   * @defaultValue 1
   */
  partitions?: 1 | undefined;
  /**
   * How deltas get from the caller's transaction to where they wait.
   *
   * @defaultValue `mode` of the configuration
   */
  mode?: Mode | undefined;
}
