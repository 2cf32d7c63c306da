import type { EntitySchema } from 'typeorm';

import type { CounterCacheOptions } from './options';
import type {
  Countable,
  IsRelation,
  ListKeys,
  Missing,
  PathsOf,
  PointInTime,
  PropertyAt,
  Related,
  RelationKeys,
} from '../model/property-types';

/** An option that does not fit: the compiler's message shows what it got, and what it may be. */
export type Refused<Option extends string, Got, Allowed> = Readonly<Record<Option, Allowed>> & {
  readonly got?: Got;
};

/**
 * What is wrong with options whose target follows from the source; `never` when nothing is. `Given` are the options as they
 * are written, `Decorated` is the decorated property, or `never`.
 */
export type Mistakes<Source, Given, Decorated extends string> =
  | Unknown<Given, Exclude<keyof Given & string, keyof CounterCacheOptions>>
  | OfSource<Source, Given>
  | OfTargets<TargetsOf<Source, Given, Decorated>, Given>;

type Unknown<Given, Option extends keyof Given & string> = Option extends string
  ? Refused<Option, Given[Option], never>
  : never;

type OfSource<Source, Given> =
  | (Given extends { readonly incrementBy: infer Amount } ? Misfit<'incrementBy', Source, Amount, Countable> : never)
  | (Given extends { readonly reads: readonly (infer Read)[] } ? Absent<'reads', Source, Read> : never)
  | (Given extends { readonly where: infer Where } ? Absent<'where', Source, NameIn<Where>> : never);

type NameIn<Where> = Where extends readonly (infer Alternative)[] ? keyof Alternative : keyof Where;

/** A target, in a box: distributing over boxes leaves a union of classes in one piece. */
interface Target<Entity> {
  readonly entity: Entity;
}

type OfTargets<Targets, Given> =
  Targets extends Target<infer Entity>
    ? [keyof Entity] extends [never]
      ? never
      :
          | (Given extends { readonly column: infer Column } ? Misfit<'column', Entity, Column, Countable> : never)
          | (Given extends { readonly columns: readonly (infer Column)[] }
              ? Misfit<'columns', Entity, Column, Countable>
              : never)
          | (Given extends { readonly touch: infer Touch } ? Misfit<'touch', Entity, Touch, PointInTime> : never)
    : Targets;

/** A path that leads to no property, or to one of another type. What is no text, or any text, is left to others. */
type Misfit<Option extends string, Entity, Path, Fitting> = Path extends string
  ? string extends Path
    ? never
    : [NonNullable<PropertyAt<Entity, Path>>] extends [Fitting]
      ? never
      : Refused<Option, Path, PathsOf<Entity, Fitting>>
  : never;

type Absent<Option extends string, Entity, Path> = Path extends string
  ? string extends Path
    ? never
    : PropertyAt<Entity, Path> extends Missing
      ? Refused<Option, Path, keyof Entity>
      : never
  : never;

/** The targets of a declaration, each in a box; or what keeps them from being found. */
type TargetsOf<Source, Given, Decorated extends string> = Given extends { readonly polymorphic: infer Chosen }
  ? TargetsByType<Chosen>
  : Given extends { readonly junction: infer Junction extends string }
    ? Junction extends ListKeys<Source>
      ? Target<Source>
      : Refused<'junction', Junction, ListKeys<Source>>
    : Given extends { readonly relation: infer Path extends string }
      ? Follow<'relation', Source, Path>
      : 'relation' extends keyof Given
        ? never
        : Follow<'relation', Source, Decorated>;

type TargetsByType<Chosen> = Chosen extends { readonly targets: () => infer ByType }
  ? { [Type in keyof ByType]: FromRow<InstanceOf<ByType[Type]>, Chosen, Type> }[keyof ByType]
  : never;

/** From the row that the id of a polymorphic counter names. */
type FromRow<Row, Chosen, Type> = Chosen extends { readonly path: infer Path }
  ? Path extends string
    ? Follow<'path', Row, Path>
    : Type extends keyof Path
      ? Follow<'path', Row, Path[Type] & string>
      : Target<Row>
  : Target<Row>;

type InstanceOf<Entity> = Entity extends { readonly prototype: infer Instance }
  ? Instance
  : Entity extends EntitySchema<infer Row>
    ? Row
    : never;

/** Follows relations from one entity to the target. */
type Follow<Option extends string, Entity, Path extends string> = [Path] extends [never]
  ? Refused<Option, undefined, RelationKeys<Entity>>
  : string extends Path
    ? never
    : Path extends keyof Entity
      ? IsRelation<Entity[Path]> extends true
        ? Target<Related<Entity[Path]>>
        : Refused<Option, Path, RelationKeys<Entity>>
      : Path extends `${infer Key extends keyof Entity & string}.${infer Rest}`
        ? Follow<Option, Related<Entity[Key]>, Rest>
        : Refused<Option, Path, RelationKeys<Entity>>;

/** What a source has to be; anything when its type argument is left out. */
export type Named<Source> = string extends keyof Source ? object : Source;

/**
 * The same as a shape that a class has to have, for a relation whose type is a type parameter: a shape is compared with what
 * the parameter extends, where the types above have to wait for what it is.
 */
export type RequiredShape<Source, Given, Decorated extends string> = [
  Exclude<keyof Given, Exclude<keyof CounterCacheOptions, 'columns' | 'reads' | 'where'>>,
] extends [never]
  ? Named<Source> &
      Readonly<Record<Decorated, Holding<Given, 'column', Countable> & Holding<Given, 'touch', PointInTime>>> &
      Holding<Given, 'incrementBy', Countable>
  : never;

type Holding<Given, Option extends string, Fitting> =
  Given extends Readonly<Record<Option, infer Path extends string>>
    ? Readonly<Record<Path, Fitting | null | undefined>>
    : unknown;
