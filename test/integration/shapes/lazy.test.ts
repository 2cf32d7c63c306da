import { Column, DeleteDateColumn, Entity, ManyToOne, OneToMany, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity()
class Album {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) tracksCount!: number;
  @Column({ default: 0 }) secondsSum!: number;
  @OneToMany(() => Track, (track) => track.album, { cascade: true }) tracks!: Promise<Track[]>;
}

@Entity()
@CounterCache<Track, Album>({ relation: 'album', column: 'tracksCount' })
@CounterCache<Track, Album>({ relation: 'album', column: 'secondsSum', incrementBy: ({ seconds }) => seconds ?? 0 })
class Track {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'int', nullable: true }) seconds!: number | null;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Album, (album) => album.tracks) album!: Promise<Album | null>;
}

/** A lazy relation that is the primary key as well, and a target by the same key. */
@Entity()
@CounterCache<Cover, Album>({ relation: 'album', column: 'secondsSum' })
class Cover {
  @PrimaryColumn() albumId!: number;
  @Column({ default: 0 }) printsCount!: number;
  @ManyToOne(() => Album, { onDelete: 'CASCADE' }) album!: Promise<Album>;
}

@Entity()
@CounterCache<Print, Cover>({ relation: 'cover', column: 'printsCount' })
class Print {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Cover, { onDelete: 'CASCADE' }) cover!: Promise<Cover | null>;
}

const ALBUMS: Truth = {
  table: 'album',
  columns: {
    '"tracksCount"': '(SELECT count(*) FROM track r WHERE r."albumId" = t.id AND r."deletedAt" IS NULL)',
    '"secondsSum"': `(SELECT COALESCE(sum(r.seconds), 0) FROM track r WHERE r."albumId" = t.id AND r."deletedAt" IS NULL)
      + (SELECT count(*) FROM cover c WHERE c."albumId" = t.id)`,
  },
};
const COVERS: Truth = {
  table: 'cover',
  columns: { '"printsCount"': '(SELECT count(*) FROM print p WHERE p."coverAlbumId" = t."albumId")' },
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Album, Track, Cover, Print] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('lazy relations, PostgreSQL %s', (version) => {
  let one: Album;
  let two: Album;
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await clear(fixture, [Print, Cover, Track, Album]);
    one = await manager().save(manager().create(Album));
    two = await manager().save(manager().create(Album));
  });
  afterEach(() => expectAgreed(fixture));

  test('on the source', async () => {
    await expectEveryWrite<Album>(fixture, {
      source: Track,
      targets: [one, two],
      values: (album, row) => ({ album: Promise.resolve(album), seconds: row === 2 ? null : row }),
      set: (album) => ({ album, seconds: 3 }),
      truths: [ALBUMS],
    });
  });

  test('on the target: cascaded, adopted, orphaned', async () => {
    one.tracks = Promise.resolve([manager().create(Track, { seconds: 4 }), manager().create(Track, { seconds: 5 })]);
    await manager().save(one);
    await expectRight(fixture, [ALBUMS]);
    const [first] = await one.tracks;
    if (first === undefined) throw new Error('no track');
    two.tracks = Promise.resolve([first]);
    await manager().save(two);
    await expectRight(fixture, [ALBUMS]);
    const read = await manager().findOneByOrFail(Album, { id: two.id });
    expect(await read.tracks).toHaveLength(1);
    read.tracks = Promise.resolve([]);
    await manager().save(read);
    expect(await manager().countBy(Track, { album: { id: two.id } })).toBe(0);
    await expectRight(fixture, [ALBUMS]);
    await manager().createQueryBuilder().relation(Track, 'album').of(first.id).set(one.id);
    await expectRight(fixture, [ALBUMS]);
  });

  test('that was read is moved and removed', async () => {
    await manager().save(Object.assign(manager().create(Track, { seconds: 7 }), { album: Promise.resolve(one) }));
    const track = await manager().findOneByOrFail(Track, { seconds: 7 });
    expect((await track.album)?.id).toBe(one.id);
    track.seconds = 8;
    await manager().save(track);
    await expectRight(fixture, [ALBUMS]);
    track.album = Promise.resolve(two);
    await manager().save(track);
    await expectRight(fixture, [ALBUMS]);
    await manager().softRemove(track);
    await expectRight(fixture, [ALBUMS]);
    await manager().recover(track);
    await manager().remove(track);
    await expectRight(fixture, [ALBUMS]);
  });

  test('that is the primary key of a source, and of a target', async () => {
    const cover = await manager().save(
      Object.assign(manager().create(Cover, { albumId: one.id }), { album: Promise.resolve(one) }),
    );
    await manager().save([1, 2].map(() => Object.assign(manager().create(Print), { cover: Promise.resolve(cover) })));
    await manager().insert(Cover, { albumId: two.id });
    await expectRight(fixture, [ALBUMS, COVERS]);
    await manager().update(Print, { cover: { albumId: one.id } }, { cover: { albumId: two.id } as never });
    await expectRight(fixture, [ALBUMS, COVERS]);
    await manager().delete(Album, { id: two.id });
    expect(await manager().count(Print)).toBe(0);
    await expectRight(fixture, [ALBUMS, COVERS]);
  });
});
