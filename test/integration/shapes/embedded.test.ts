import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';

class Stats {
  @Column({ default: 0 }) postsCount!: number;
  @Column({ type: 'numeric', precision: 8, scale: 2, default: 0 }) charsSum!: NumericText;
}

class Profile {
  @Column({ default: '' }) bio!: string;
  @Column(() => Stats, { prefix: 'st' }) stats!: Stats;
}

class PlainStats {
  @Column({ default: 0 }) draftsCount!: number;
}

class Placement {
  @ManyToOne(() => Person) @JoinColumn({ name: 'theOwner' }) owner!: Relation<Person> | null;
  @Column({ default: 0 }) rank!: number;
}

class Times {
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
}

class Meta {
  @Column(() => Placement) placement!: Placement;
  @ManyToOne(() => Person) editor!: Relation<Person> | null;
  @Column({ type: 'numeric', precision: 6, scale: 1, default: 1 }) chars!: NumericText;
  @Column(() => Times) times!: Times;
}

@Entity()
class Person {
  @PrimaryGeneratedColumn() id!: number;
  @Column(() => Profile) profile!: Profile;
  @Column(() => PlainStats, { prefix: false }) plain!: PlainStats;
}

@Entity()
@CounterCache<Post, Person>({ relation: 'meta.editor', column: 'profile.stats.postsCount' })
@CounterCache<Post, Person>({
  relation: 'meta.placement.owner',
  column: 'profile.stats.charsSum',
  incrementBy: 'meta.chars',
})
@CounterCache<Post, Person>({
  relation: 'meta.placement.owner',
  column: 'plain.draftsCount',
  if: ({ meta }) => meta.placement.rank > 0,
  reads: ['meta.placement.rank'],
})
class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column(() => Meta, { prefix: 'm' }) meta!: Meta;
}

let fixture: Fixture;
let truth: Truth;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Person, Post] });
  const name = (entity: Function, path: string): string => {
    const metadata = fixture.dataSource.getMetadata(entity);
    const relation = metadata.findRelationWithPropertyPath(path);
    return `"${(relation?.joinColumns[0] ?? metadata.findColumnWithPropertyPath(path))?.databaseName}"`;
  };
  const from = (relation: string): string =>
    `FROM post p WHERE p.${name(Post, relation)} = t.id AND p.${name(Post, 'meta.times.deletedAt')} IS NULL`;
  truth = {
    table: 'person',
    columns: {
      [name(Person, 'profile.stats.postsCount')]: `(SELECT count(*) ${from('meta.editor')})`,
      [name(Person, 'profile.stats.charsSum')]:
        `(SELECT COALESCE(sum(p.${name(Post, 'meta.chars')}), 0) ${from('meta.placement.owner')})::numeric(8, 2)`,
      [name(Person, 'plain.draftsCount')]:
        `(SELECT count(*) ${from('meta.placement.owner')} AND p.${name(Post, 'meta.placement.rank')} > 0)`,
    },
  };
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('embedded classes, PostgreSQL %s', (version) => {
  let people: Person[];
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Post, Person]);
    people = await manager().save(manager().create(Person, [{}, { profile: { bio: 'b' } }]));
  });
  afterEach(() => expectAgreed(fixture));

  test('foreign keys, amounts, conditions and delete dates two levels down', async () => {
    const [one, two] = people;
    if (one === undefined || two === undefined) throw new Error('no people');
    await expectEveryWrite<Person>(fixture, {
      source: Post,
      targets: [one, two],
      values: (person, row) => ({
        meta: { placement: { owner: person, rank: row % 3 }, editor: person, chars: `${row}.5` },
      }),
      truths: [truth],
    });
  });

  test('parts of an embedded are updated alone', async () => {
    const [one = null, two = null] = people;
    const post = await manager().save(
      manager().create(Post, { meta: { placement: { owner: one, rank: 1 }, editor: one } }),
    );
    await manager().update(Post, { id: post.id }, { meta: { placement: { rank: 0 } } });
    await expectRight(fixture, [truth]);
    await manager().update(Post, { meta: { placement: { rank: 0 } } }, { meta: { editor: two, chars: '3.5' } });
    await expectRight(fixture, [truth]);
    const read = await manager().findOneByOrFail(Post, { id: post.id });
    read.meta.placement.rank = 5;
    await manager().save(read);
    await expectRight(fixture, [truth]);
    await manager().update(Post, { id: post.id }, { meta: { placement: { owner: two } } });
    await manager().update(Post, { id: post.id }, { meta: { editor: one } });
    expect(await manager().countBy(Post, { meta: { editor: { id: one?.id ?? 0 }, placement: { rank: 5 } } })).toBe(1);
    await expectRight(fixture, [truth]);
  });

  test('a stale target keeps its counters, and its embedded columns are written', async () => {
    const [one] = people;
    const stale = await manager().findOneByOrFail(Person, { id: one?.id ?? 0 });
    await manager().insert(Post, [{ meta: { editor: stale } }, { meta: { editor: stale } }]);
    await fixture.counters.flush();
    stale.profile.bio = 'new';
    stale.profile.stats.postsCount = 70;
    stale.plain.draftsCount = 70;
    await manager().save(stale);
    await manager().update(Person, { id: stale.id }, { profile: { bio: 'newer', stats: { postsCount: 70 } } });
    const read = await manager().findOneByOrFail(Person, { id: stale.id });
    expect(read).toMatchObject({
      profile: { bio: 'newer', stats: { postsCount: 2, charsSum: '0.00' } },
      plain: { draftsCount: 0 },
    });
    expect(await fixture.counters.read(Person, stale.id, 'profile.stats.postsCount')).toBe(2);
    await expectRight(fixture, [truth]);
  });
});
