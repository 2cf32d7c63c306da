import { Column, Entity, JoinTable, ManyToMany, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';

@Entity()
@CounterCache<Group, Group>({ junction: 'members', column: 'membersCount' })
class Group {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column({ default: 0 }) membersCount!: number;
  @ManyToMany(() => Member, (member) => member.groups) members!: Relation<Member>[];
}

@Entity()
@CounterCache<Member, Member>({ junction: 'groups', column: 'groupsCount' })
@CounterCache<Member, Member>({ junction: 'follows', column: 'followsCount' })
@CounterCache<Member, Member>({ junction: 'followers', column: 'followersCount', incrementBy: 10 })
class Member {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) groupsCount!: number;
  @Column({ default: 0 }) followsCount!: number;
  @Column({ default: 0 }) followersCount!: number;
  @ManyToMany(() => Group, (group) => group.members, { cascade: true }) @JoinTable() groups!: Relation<Group>[];
  @ManyToMany(() => Member, (member) => member.followers) @JoinTable() follows!: Relation<Member>[];
  @ManyToMany(() => Member, (member) => member.follows) followers!: Relation<Member>[];
  @ManyToMany(() => Tag) @JoinTable() tags!: Relation<Tag>[];
}

/** Its junction table counts nowhere. */
@Entity()
class Tag {
  @PrimaryColumn() name!: string;
}

const WRONG = `
  SELECT 'groups' AS what, m.id::text, m."groupsCount" AS got, t.n AS right FROM member m,
    LATERAL (SELECT count(*) AS n FROM member_groups_group j WHERE j."memberId" = m.id) t WHERE m."groupsCount" <> t.n
  UNION ALL SELECT 'members', g.id::text, g."membersCount", t.n FROM "group" g,
    LATERAL (SELECT count(*) AS n FROM member_groups_group j WHERE j."groupId" = g.id) t WHERE g."membersCount" <> t.n
  UNION ALL SELECT 'follows', m.id::text, m."followsCount", t.n FROM member m,
    LATERAL (SELECT count(*) AS n FROM member_follows_member j WHERE j."memberId_1" = m.id) t WHERE m."followsCount" <> t.n
  UNION ALL SELECT 'followers', m.id::text, m."followersCount", 10 * t.n FROM member m,
    LATERAL (SELECT count(*) AS n FROM member_follows_member j WHERE j."memberId_2" = m.id) t WHERE m."followersCount" <> 10 * t.n`;

let fixture: Fixture;

describe.each(['18', '17.0'])('rows of a junction table, PostgreSQL %s', (version) => {
  beforeAll(async () => {
    fixture = await setup({ entities: [Group, Member, Tag] });
    if (version === '17.0') (fixture.dataSource.driver as { version?: string }).version = version;
  });
  afterEach(() => expect(fixture.errors).toEqual([]));
  afterAll(() => fixture.close());

  async function expectExact(): Promise<void> {
    await fixture.counters.flush();
    expect(await fixture.dataSource.query(WRONG)).toEqual([]);
  }

  async function seed(): Promise<{ groups: Group[]; members: Member[] }> {
    const { manager } = fixture.dataSource;
    const groups = await manager.save([1, 2, 3].map(() => manager.create(Group)));
    const members = await manager.save(
      [0, 1].map((i) => manager.create(Member, { groups: groups.slice(i), follows: [], followers: [] })),
    );
    await expectExact();
    return { groups, members };
  }

  test('saved, changed and emptied, from either side', async () => {
    const { manager } = fixture.dataSource;
    const { groups, members } = await seed();
    const [first, second] = members as [Member, Member];
    expect(await manager.findOneBy(Member, { id: first.id })).toMatchObject({ groupsCount: 3 });
    expect(await manager.findOneBy(Group, { id: groups[2]?.id ?? '' })).toMatchObject({ membersCount: 2 });
    first.groups = groups.slice(2);
    await manager.save(first);
    await expectExact();
    const group = await manager.findOneOrFail(Group, {
      where: { id: groups[0]?.id ?? '' },
      relations: { members: true },
    });
    group.members = [first, second];
    await manager.save(group);
    await expectExact();
    first.groups = [];
    first.follows = [second, first];
    await manager.save(first);
    await expectExact();
    await manager.save(manager.create(Member, { groups: [manager.create(Group), manager.create(Group)] }));
    await expectExact();
  });

  test('written by the relation query builder, and rolled back', async () => {
    const { manager } = fixture.dataSource;
    const { groups, members } = await seed();
    const [first, second] = members as [Member, Member];
    const ids = groups.map(({ id }) => id);
    const relation = (property: string) => manager.createQueryBuilder().relation(Member, property).of(first);
    await relation('follows').add([first.id, second.id]);
    await expectExact();
    await relation('groups').remove(ids.slice(0, 2));
    await relation('followers').add(second);
    await expectExact();
    await relation('groups').addAndRemove(ids[0], ids[2]);
    await expectExact();
    const work = manager.transaction(async (own) => {
      await own.createQueryBuilder().relation(Group, 'members').of(ids[1]).add(first);
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    await expectExact();
  });

  test('gone with the rows that they link', async () => {
    const { manager } = fixture.dataSource;
    const { groups, members } = await seed();
    const [first, second] = members as [Member, Member];
    await manager.createQueryBuilder().relation(Member, 'follows').of(first).add([second, first]);
    await manager.remove(groups[2] as Group);
    await expectExact();
    await manager.delete(Member, second.id);
    await expectExact();
    expect(await manager.findOneBy(Member, { id: first.id })).toMatchObject({ followsCount: 1, groupsCount: 2 });
  });

  test('recounted', async () => {
    await seed();
    await fixture.dataSource.query('UPDATE member SET "groupsCount" = 7, "followersCount" = 3');
    expect((await fixture.counters.recalculate()).fixedCount).toBeGreaterThan(3);
    await expectExact();
    expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0 });
  });

  test('of a junction that counts nowhere cost nothing', async () => {
    const { manager } = fixture.dataSource;
    const tag = await manager.save(manager.create(Tag, { name: `t${version}` }));
    await manager.save(manager.create(Member, { tags: [tag] }));
    await fixture.counters.settled();
    expect(await fixture.counters.status()).toMatchObject({ dirty: 0, intents: 0 });
  });
});
