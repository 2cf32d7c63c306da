import {
  ChildEntity,
  Column,
  DeleteDateColumn,
  Entity,
  type EntityTarget,
  JoinColumn,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
  TableInheritance,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectMended, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity()
class Album {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) mediaCount!: number;
  @Column({ default: 0 }) picturesCount!: number;
  @Column({ default: 0 }) panoramaPixels!: number;
  @Column({ default: 0 }) longVideosCount!: number;
}

@Entity()
@TableInheritance({ column: { type: 'varchar', name: 'kind' } })
@CounterCache<Media, Album>({ relation: 'album', column: 'mediaCount' })
class Media {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'varchar' }) kind!: string;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column({ type: 'int', nullable: true }) albumId!: number | null;
  @ManyToOne(() => Album) @JoinColumn({ name: 'albumId' }) album!: Relation<Album> | null;
}

@ChildEntity('picture')
@CounterCache<Picture, Album>({ relation: 'album', column: 'picturesCount' })
class Picture extends Media {
  @Column({ type: 'int', nullable: true }) pixels!: number | null;
}

/** A grandchild; it is a picture as well. */
@ChildEntity('panorama')
@CounterCache<Panorama, Album>({ relation: 'album', column: 'panoramaPixels', incrementBy: 'pixels' })
class Panorama extends Picture {
  @Column({ default: 360 }) degrees!: number;
}

@ChildEntity('video')
@CounterCache<Video, Album>({
  relation: 'album',
  column: 'longVideosCount',
  if: (video) => video instanceof Video && video.isLong(),
})
class Video extends Media {
  @Column({ type: 'int', nullable: true }) seconds!: number | null;
  isLong(): boolean {
    return (this.seconds ?? 0) > 60;
  }
}

const count = (what: string, condition: string): string =>
  `(SELECT COALESCE(${what}, 0) FROM media m WHERE m."albumId" = t.id AND m."deletedAt" IS NULL AND ${condition})`;
const TRUTHS: readonly Truth[] = [
  {
    table: 'album',
    columns: {
      '"mediaCount"': count('count(*)', 'TRUE'),
      '"picturesCount"': count('count(*)', `m.kind IN ('picture', 'panorama')`),
      '"panoramaPixels"': count('sum(m.pixels)', `m.kind = 'panorama'`),
      '"longVideosCount"': count('count(*)', `m.kind = 'video' AND m.seconds > 60`),
    },
  },
];

const ENTITIES = [Album, Media, Picture, Panorama, Video];

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: ENTITIES });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('sources of one table and several classes, PostgreSQL %s', (version) => {
  let one: Album;
  let two: Album;
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;
  const right = (): Promise<void> => expectRight(fixture, TRUTHS);

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Media, Album]);
    one = await manager().save(manager().create(Album));
    two = await manager().save(manager().create(Album));
  });
  afterEach(() => expectAgreed(fixture));

  async function fill(): Promise<void> {
    await manager().save([
      manager().create(Picture, { album: one, pixels: 10 }),
      manager().create(Panorama, { album: one, pixels: 100 }),
      manager().create(Panorama, { album: two, pixels: 1_000 }),
      manager().create(Video, { album: one, seconds: 90 }),
      manager().create(Video, { album: one, seconds: 30 }),
    ]);
    await right();
  }

  test.each([
    ['a grandchild', Panorama, { pixels: 7 }],
    ['the parent itself', Media, {}],
  ] as const)('every write through %s', async (_, source, own) => {
    await fill();
    await expectEveryWrite<Album>(fixture, {
      source,
      targets: [one, two],
      values: (album) => ({ albumId: album?.id ?? null, ...own }),
      truths: TRUTHS,
    });
  });

  test('rows of children are written through the parent', async () => {
    await fill();
    const read = await manager().findBy(Media, { album: { id: one.id } });
    expect(read.map(({ constructor }) => constructor.name).toSorted()).toEqual([
      'Panorama',
      'Picture',
      'Video',
      'Video',
    ]);
    await manager().save(
      Media,
      read.slice(1).map((media) => Object.assign(media, { albumId: two.id })),
    );
    await right();
    await manager().update(Media, { albumId: two.id }, { albumId: one.id });
    await right();
    await manager().softDelete(Media, { kind: 'panorama' });
    await right();
    await manager().createQueryBuilder().restore().from(Media).execute();
    await right();
    await expectMended(fixture, TRUTHS);
    await manager().remove(read.slice(0, 2));
    await manager().delete(Media, { albumId: one.id });
    await right();
  });

  test.each([
    ['its child', Picture],
    ['the parent', Media],
  ] as const)('an update by criteria through %s reaches rows of that class only', async (_, entity) => {
    await fill();
    const { affected } = await manager()
      .createQueryBuilder()
      .update(entity as EntityTarget<Media>)
      .set({ albumId: two.id })
      .where({ albumId: one.id })
      .execute();
    expect(affected).toBe(entity === Media ? 4 : 2);
    await right();
    await manager().softDelete(entity, { albumId: two.id });
    await right();
    await manager().delete(entity, { albumId: two.id });
    await right();
  });

  test('a row becomes one of another class', async () => {
    await fill();
    await manager().update(Media, { kind: 'picture' }, { kind: 'panorama' });
    await right();
    await manager().update(Panorama, { albumId: one.id }, { kind: 'video' });
    await right();
    await manager()
      .createQueryBuilder()
      .update(Media)
      .set({ kind: () => `CASE kind WHEN 'video' THEN 'picture' ELSE kind END` })
      .execute();
    expect(await manager().countBy(Picture, { albumId: one.id })).toBe(4);
    await right();
    await expectMended(fixture, TRUTHS);
  });

  test('a method of the class decides, whatever class writes', async () => {
    await fill();
    await manager().update(Video, { seconds: 30 }, { seconds: 300 });
    await right();
    await manager().update(Media, { kind: 'video' }, { albumId: two.id });
    await right();
    expect(await manager().findOneByOrFail(Album, { id: two.id })).toMatchObject({ longVideosCount: 2 });
  });
});
