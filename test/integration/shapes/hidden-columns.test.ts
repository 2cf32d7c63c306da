import {
  Column,
  DeleteDateColumn,
  Entity,
  type EntityManager,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectMended, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity()
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0, select: false }) postsCount!: number;
  @Column({ default: 0, select: false }) likesSum!: number;
  @Column({ default: 0, select: false }) publicCount!: number;
  @Column({ default: 0, insert: false, update: false }) livelyCount!: number;
  @Column({ default: 0, select: false }) recounted!: number;

  async recount(manager: EntityManager): Promise<number> {
    return manager.countBy(Post, { author: { id: this.id } });
  }
}

/** Nothing that counts is selected by default. */
@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount' })
@CounterCache<Post, Author>({ relation: 'author', column: 'likesSum', incrementBy: 'likes' })
@CounterCache<Post, Author>({ relation: 'author', column: 'publicCount', where: { hidden: false } })
@CounterCache<Post, Author>({
  relation: 'author',
  column: 'livelyCount',
  if: ({ likes, hidden }) => likes > 2 && !hidden,
})
@CounterCache<Post, Author>({ relation: 'author', column: 'recounted', method: 'recount' })
class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'int', nullable: true, select: false }) authorId!: number | null;
  @ManyToOne(() => Author) @JoinColumn({ name: 'authorId' }) author!: Relation<Author> | null;
  @Column({ default: 1, select: false }) likes!: number;
  @Column({ default: false, select: false }) hidden!: boolean;
  @DeleteDateColumn({ type: 'timestamptz', select: false }) deletedAt!: Date | null;
}

@Entity()
class Box {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) coinsSum!: number;
  @Column({ default: 0 }) lockedCount!: number;
}

/** TypeORM writes some columns at birth only, others never; the database has its own defaults. */
@Entity()
@CounterCache<Coin, Box>({ relation: 'box', column: 'coinsSum', incrementBy: 'value' })
@CounterCache<Coin, Box>({ relation: 'box', column: 'lockedCount', where: { locked: true } })
class Coin {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'varchar', unique: true, nullable: true }) serial!: string | null;
  @Column({ type: 'int', update: false }) boxId!: number;
  @ManyToOne(() => Box) @JoinColumn({ name: 'boxId' }) box!: Relation<Box>;
  @Column({ default: 5, insert: false }) value!: number;
  @Column({ default: true, insert: false, update: false }) locked!: boolean;
}

const POSTS = 'FROM post p WHERE p."authorId" = t.id AND p."deletedAt" IS NULL';
const AUTHORS: Truth = {
  table: 'author',
  columns: {
    '"postsCount"': `(SELECT count(*) ${POSTS})`,
    '"likesSum"': `(SELECT COALESCE(sum(p.likes), 0) ${POSTS})`,
    '"publicCount"': `(SELECT count(*) ${POSTS} AND NOT p.hidden)`,
    '"livelyCount"': `(SELECT count(*) ${POSTS} AND NOT p.hidden AND p.likes > 2)`,
    recounted: `(SELECT count(*) ${POSTS})`,
  },
};
const BOXES: Truth = {
  table: 'box',
  columns: {
    '"coinsSum"': '(SELECT COALESCE(sum(c.value), 0) FROM coin c WHERE c."boxId" = t.id)',
    '"lockedCount"': '(SELECT count(*) FROM coin c WHERE c."boxId" = t.id AND c.locked)',
  },
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Author, Post, Box, Coin] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('columns that TypeORM does not read or write, PostgreSQL %s', (version) => {
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(() => clear(fixture, [Post, Author, Coin, Box]));
  afterEach(() => expectAgreed(fixture));

  test('select: false, in every write', async () => {
    const [one, two] = await manager().save(manager().create(Author, [{}, {}]));
    if (one === undefined || two === undefined) throw new Error('no authors');
    await expectEveryWrite<Author>(fixture, {
      source: Post,
      targets: [one, two],
      values: (author, row) => ({ authorId: author?.id ?? null, likes: row, hidden: row % 4 === 0 }),
      truths: [AUTHORS],
    });
  });

  test('select: false, entities without the hidden columns are saved', async () => {
    const author = await manager().save(manager().create(Author));
    await manager().insert(Post, [
      { author, likes: 3 },
      { author, hidden: true },
    ]);
    const posts = await manager().find(Post);
    expect(posts).toEqual(posts.map(({ id }) => ({ id })));
    await manager().save(posts);
    await manager().save(posts.map((post) => Object.assign(post, { hidden: false })));
    await expectRight(fixture, [AUTHORS]);
    await manager().softRemove(await manager().find(Post, { take: 1 }));
    await expectRight(fixture, [AUTHORS]);
    await manager().recover(await manager().find(Post, { withDeleted: true }));
    await expectRight(fixture, [AUTHORS]);
    await manager().remove(await manager().find(Post, { take: 1 }));
    await expectRight(fixture, [AUTHORS]);
  });

  test('select: false, on the target', async () => {
    const author = await manager().save(manager().create(Author, { name: 'a' }));
    await manager().insert(Post, [{ author }, { author }]);
    await expectRight(fixture, [AUTHORS]);
    const read = await manager().findOneByOrFail(Author, { id: author.id });
    expect(read).toEqual({ id: author.id, name: 'a', livelyCount: 0 });
    await manager().save(Object.assign(read, { name: 'b', postsCount: 70, livelyCount: 70 }));
    await expectRight(fixture, [AUTHORS]);
    expect(await fixture.counters.read(Author, author.id, 'postsCount')).toBe(2);
  });

  test('update: false on the foreign key, insert: false on amount and condition', async () => {
    const [one, two] = await manager().save(manager().create(Box, [{}, {}]));
    if (one === undefined || two === undefined) throw new Error('no boxes');
    const coin = await manager().save(manager().create(Coin, { serial: 's', boxId: one.id, value: 70, locked: false }));
    await manager().insert(Coin, [{ boxId: one.id, value: 70 }, { boxId: two.id }]);
    await expectRight(fixture, [BOXES]);
    await manager().save(Object.assign(await manager().findOneByOrFail(Coin, { id: coin.id }), { boxId: two.id }));
    await manager().update(Coin, { boxId: one.id }, { boxId: two.id, value: 6, locked: false });
    expect(await manager().countBy(Coin, { boxId: one.id, value: 6, locked: true })).toBe(2);
    await expectRight(fixture, [BOXES]);
    await manager().upsert(Coin, { serial: 's', boxId: two.id, value: 9 }, ['serial']);
    expect(await manager().count(Coin)).toBe(3);
    await expectRight(fixture, [BOXES]);
    await expectMended(fixture, [BOXES]);
    await manager().remove(await manager().findBy(Coin, { boxId: one.id }));
    await expectRight(fixture, [BOXES]);
  });
});
