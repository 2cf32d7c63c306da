import { expectTypeOf } from 'expect-type';
import { type DataSource, EntitySchema, type EntityTarget, MoreThan, type ObjectLiteral } from 'typeorm';
import type { Counters, CounterValue, NumericText } from 'typeorm-counter-cache';

class User {
  id!: number;
  name!: string;
  postsCount!: number;
  likesSum!: bigint;
  earnings?: NumericText | null;
  seenAt!: Date;
  stats!: { total: number; name: string };
  rename(): void {}
}
class Admin extends User {
  rightsCount!: number;
}
abstract class Base {
  abstract childrenCount: number;
}
class Built {
  partsCount = 0;
  constructor(readonly code: string) {}
}
interface Room {
  nightsSum: NumericText;
  name: string;
}

declare const counters: Counters;
declare const ids: number[];
declare const dataSource: DataSource;
declare const anything: EntityTarget<ObjectLiteral>;

/** Checked by the compiler; never called. */
const reads = (): unknown => {
  expectTypeOf(counters.read(User, 1, 'postsCount')).resolves.toEqualTypeOf<number | null>();
  expectTypeOf(counters.read(User, 1, 'likesSum')).resolves.toEqualTypeOf<bigint | null>();
  expectTypeOf(counters.read(User, 1n, 'earnings')).resolves.toEqualTypeOf<NumericText | null>();
  expectTypeOf(counters.read(User, '1', 'stats.total')).resolves.toEqualTypeOf<number | null>();
  expectTypeOf(counters.read(Admin, 1, 'postsCount')).resolves.toEqualTypeOf<number | null>();
  expectTypeOf(counters.read(Admin, 1, 'rightsCount')).resolves.toEqualTypeOf<number | null>();
  expectTypeOf(counters.read(Built, 1, 'partsCount')).resolves.toEqualTypeOf<number | null>();
  expectTypeOf(counters.read(Base, 1, 'childrenCount')).resolves.toEqualTypeOf<number | null>();
  expectTypeOf(counters.read(User, ids, 'postsCount')).resolves.toEqualTypeOf<Map<number, number | null>>();
  const schema = new EntitySchema<Room>({ name: 'Room', columns: {} });
  expectTypeOf(counters.read(schema, 1, 'nightsSum')).resolves.toEqualTypeOf<NumericText | null>();
  expectTypeOf(counters.read('Room', 1, 'nightsSum')).resolves.toEqualTypeOf<CounterValue>();
  expectTypeOf(counters.read(anything, 1, 'nightsSum')).resolves.toEqualTypeOf<CounterValue>();
  expectTypeOf(counters.read(User, [['A', 2] as const], 'postsCount')).resolves.toExtend<Map<object, number | null>>();
  // @ts-expect-error -- no such property
  void counters.read(User, 1, 'postCount');
  // @ts-expect-error -- another class's property
  void counters.read(User, 1, 'rightsCount');
  // @ts-expect-error -- text
  void counters.read(User, 1, 'name');
  // @ts-expect-error -- a method
  void counters.read(User, 1, 'rename');
  // @ts-expect-error -- a date
  void counters.read(User, 1, 'seenAt');
  // @ts-expect-error -- embedded text
  void counters.read(User, 1, 'stats.name');
  // @ts-expect-error -- text of a schema
  return counters.read(schema, [1], 'name');
};

/** Neither is this. */
const filters = (): unknown => {
  void counters.recalculate({ target: User, where: { name: 'ann', postsCount: MoreThan(3) } });
  void counters.verify({ target: Admin, ids: [1], where: { stats: { total: 3 } } });
  void counters.recalculate({ target: Base, where: { childrenCount: 1 } });
  void counters.recalculate({ counter: 'named', where: { anything: 1 } });
  void counters.recalculate({ target: 'User', where: { anything: 1 } });
  void counters.recalculate({ target: dataSource.getRepository(User).target, where: { name: 'ann' } });
  void counters.recalculate();
  // @ts-expect-error -- no such property
  void counters.recalculate({ target: User, where: { nam: 'ann' } });
  // @ts-expect-error -- another class's property
  void counters.verify({ target: User, where: { rightsCount: 1 } });
  // @ts-expect-error -- no text
  return counters.verify({ target: User, where: { name: 3 } });
};

it('types of reads and filters', () => {
  expect([reads, filters]).toHaveLength(2);
});
