import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { expectAgreement, expectRecount, randomFrom } from './agreement';

@Entity()
class Member {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) followersCount!: number;
  @Column({ default: 0 }) starsSum!: number;
}

@Entity()
class Store {
  @PrimaryColumn({ type: 'text' }) code!: string;
  @Column({ default: 0 }) followersCount!: number;
  @Column({ default: 0 }) starsSum!: number;
}

const polymorphic = {
  id: 'targetId',
  type: 'targetType',
  targets: () => ({ member: Member, store: Store }),
  ignore: ['page'],
} as const;

@Entity()
@CounterCache<Follow, Member & Store>({ polymorphic, column: 'followersCount' })
@CounterCache<Follow, Member & Store>({
  polymorphic,
  column: 'starsSum',
  incrementBy: ({ stars }) => stars,
  reads: ['stars'],
})
class Follow {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'text', nullable: true }) targetType!: string | null;
  @Column({ type: 'text', nullable: true }) targetId!: string | null;
  @Column({ default: 1 }) stars!: number;
}

const truth = (table: string, key: string, type: string): string => `SELECT ${key} AS id,
  ARRAY["followersCount", "starsSum"]::text[] AS got,
  ARRAY[(SELECT count(*) FROM follow f WHERE f."targetType" = '${type}' AND f."targetId" = t.${key}::text),
    (SELECT COALESCE(sum(stars), 0) FROM follow f WHERE f."targetType" = '${type}' AND f."targetId" = t.${key}::text)]::text[] AS right
  FROM ${table} t ORDER BY ${key}`;
const MEMBERS = truth('member', 'id', 'member');
const STORES = truth('store', 'code', 'store');

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Member, Store, Follow] });
});
afterEach(() => {
  fixture.errors.length = 0;
});
afterAll(() => fixture.close());

const random = randomFrom(3);
const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;

test('changing types and ids, NULL and ignored types included', async () => {
  const { manager } = fixture.dataSource;
  const members = await manager.save(manager.create(Member, [{}, {}]));
  await manager.save(
    Store,
    members.map(({ id }) => ({ code: String(id) })),
  );
  const newFollow = () => ({
    targetType: pick(['member', 'store', 'page', null]),
    targetId: pick(['1', '2', null]),
    stars: pick([1, 2, 5]),
  });
  for (let round = 0; round < 4; round++) {
    const follows = await manager.save(Follow, Array.from({ length: 25 }, newFollow));
    await expectAgreement(fixture, MEMBERS, STORES);
    for (const { id } of follows) await manager.update(Follow, { id }, newFollow());
    await manager.update(Follow, { targetType: 'store' }, { targetType: 'member', stars: () => 'stars + 1' });
    await expectAgreement(fixture, MEMBERS, STORES);
    await manager.delete(Follow, { targetId: pick(['1', '2']) });
    await expectAgreement(fixture, MEMBERS, STORES);
  }
  await expectRecount(fixture, 'UPDATE member SET "followersCount" = 9, "starsSum" = 9', MEMBERS);
  await expectRecount(fixture, 'UPDATE store SET "followersCount" = 9, "starsSum" = 9', STORES);
  expect(fixture.errors).toEqual([]);
});

test('an unknown type is reported once, and its row is written', async () => {
  const { manager } = fixture.dataSource;
  for (let i = 0; i < 3; i++) await manager.insert(Follow, { targetType: 'planet', targetId: '1' });
  await manager.insert(Follow, { targetType: 'page', targetId: '1' });
  await manager.update(Follow, { targetType: 'planet' }, { stars: 4 });
  expect(fixture.errors.map(String)).toEqual([
    expect.stringContaining("'planet'"),
    expect.stringContaining("'planet'"),
  ]);
  expect(new Set(fixture.errors.map(String)).size).toBe(2);
  expect(await manager.countBy(Follow, { targetType: 'planet' })).toBe(3);
  await manager.update(Follow, { targetType: 'planet' }, { targetType: 'member' });
  await expectAgreement(fixture, MEMBERS, STORES);
});

test('ids without a row, and texts that are no id, count nowhere and disturb nobody', async () => {
  const { manager } = fixture.dataSource;
  const members = await manager.save(manager.create(Member, [{}, {}]));
  const [first, second] = members.map(({ id }) => String(id));
  if (first === undefined || second === undefined) throw new Error('no members');
  const strangers = [
    '999999',
    'abc',
    '',
    ' ',
    `0${first}`,
    ` ${first}`,
    `+${first}`,
    '1e3',
    '99999999999999999999',
    '-0',
  ];
  for (const targetId of [...strangers, first]) await manager.insert(Follow, { targetType: 'member', targetId });
  await fixture.counters.flush();
  expect((await fixture.counters.status()).failed).toEqual([]);
  await manager.update(Follow, { targetId: 'abc' }, { targetId: second });
  await manager.update(Follow, { targetId: first }, { targetId: 'xyz' });
  await expectAgreement(fixture, MEMBERS, STORES);
  expect(fixture.errors).toEqual([]);
});
