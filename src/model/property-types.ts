/** What an entity looks like when the type arguments are left out: any property. */
export type AnyEntity = Record<string, unknown>;

/** A property of an entity, or a dotted path into its embedded properties. */
export type PropertyPath<Entity extends object> = (keyof Entity & string) | `${keyof Entity & string}.${string}`;

/**
 * Text that is a number: how the driver gives a `bigint` or a `numeric`. A property of the type `string` may be any text,
 * so no counter may use it.
 *
 * @example
 * ```ts
 * \@Column({ type: 'bigint', default: 0 }) viewsCount!: NumericText;
 * ```
 */
export type NumericText = `${number}` | `${bigint}`;

/** What a property may hold that is counted or added up; the object is what libraries for decimals make. */
export type Countable = number | bigint | NumericText | { toNumber(): number };

/** What a property may hold that is touched: text is how a `date` column is read; the objects are those of libraries. */
export type PointInTime = Date | `${number}-${number}-${number}` | { toDate(): Date } | { toJSDate(): Date };

/** No counters are within such values. */
type Leaf =
  | string
  | number
  | bigint
  | boolean
  | symbol
  | Extract<Countable | PointInTime, object>
  | Function
  | readonly unknown[];

/** Properties whose type, `null` and `undefined` aside, is one of `Fitting`. */
type KeysOf<Entity, Fitting> = keyof {
  [Key in keyof Entity & string as [NonNullable<Entity[Key]>] extends [Fitting] ? Key : never]: Key;
};

/** Properties that hold an object: embedded properties, and relations. */
type ObjectKeys<Entity> = Exclude<keyof Entity & string, KeysOf<Entity, Leaf | PromiseLike<unknown>>>;

/** Like `KeysOf`, with dotted paths into embedded properties; below their own properties, all paths are allowed. */
export type PathsOf<Entity, Fitting> = string extends keyof Entity
  ? string
  :
      | KeysOf<Entity, Fitting>
      | { [Key in ObjectKeys<Entity>]: EmbeddedPaths<Key, NonNullable<Entity[Key]>, Fitting> }[ObjectKeys<Entity>];

type EmbeddedPaths<Key extends string, Embedded, Fitting> =
  | `${Key}.${KeysOf<Embedded, Fitting>}`
  | `${Key}.${ObjectKeys<Embedded>}.${string}`;

/** What a relation leads to; a lazy one holds a promise. */
export type Related<Held> =
  NonNullable<Held> extends PromiseLike<infer Loaded> ? NonNullable<Loaded> : NonNullable<Held>;

/** Whether a property may be a relation to one row, or embedded on the way to it. */
export type IsRelation<Held> = unknown extends Held ? true : [Related<Held>] extends [Leaf] ? false : true;

/** Properties that may be such a relation. */
export type RelationKeys<Entity> = keyof {
  [Key in keyof Entity & string as IsRelation<Entity[Key]> extends true ? Key : never]: Key;
};

/** Properties that may be a relation to many rows. */
export type ListKeys<Entity> = keyof {
  [Key in keyof Entity & string as [Related<Entity[Key]>] extends [readonly unknown[]] ? Key : never]: Key;
};

/** Where a property is missing. */
export interface Missing {
  readonly missing: unique symbol;
}

/** The type of the property at a path. */
export type PropertyAt<Entity, Path extends string> = Path extends keyof Entity
  ? Entity[Path]
  : Path extends `${infer Key}.${infer Rest}`
    ? Key extends keyof Entity
      ? PropertyAt<NonNullable<Entity[Key]>, Rest>
      : Missing
    : Missing;
