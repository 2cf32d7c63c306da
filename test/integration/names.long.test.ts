import {
  ChildEntity,
  Column,
  DataSource,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryGeneratedColumn,
  type Relation,
  TableInheritance,
} from 'typeorm';
import { CounterCache, Counters, type TablesMissingError } from 'typeorm-counter-cache';

import { createDatabase } from '../support/database';
import { redisUrl } from '../support/redis';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../support/setup';
import { expectAgreement, expectRecount } from './agreement';

const HOSTILE = `it's a "list", 100%`;

@Entity({ name: HOSTILE })
class List {
  @PrimaryGeneratedColumn({ name: `the "id"` }) id!: number;
  @Column({ default: 0 }) order!: number;
  @Column({ name: `x/y@z:"select"`, default: 0 }) strange!: number;
}

@Entity({ name: 'select' })
@CounterCache<Entry, List>({ relation: 'list', column: 'order' })
@CounterCache<Entry, List>({ relation: 'list', column: 'strange', incrementBy: 'amount', where: { kind: `'"` } })
class Entry {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ name: `a "b"`, default: 1 }) amount!: number;
  @Column({ name: 'from', default: `'"` }) kind!: string;
  @ManyToOne(() => List, { nullable: true })
  @JoinColumn({ name: `list's "id"` })
  list!: Relation<List> | null;
}

/** Made by hand: TypeORM's own `synchronize` stumbles over the apostrophes. */
const TABLES = `
  CREATE TABLE "it's a ""list"", 100%" ("the ""id""" serial PRIMARY KEY, "order" int NOT NULL DEFAULT 0,
    "x/y@z:""select""" int NOT NULL DEFAULT 0);
  CREATE TABLE "select" (id serial PRIMARY KEY, "a ""b""" int NOT NULL DEFAULT 1, "from" text NOT NULL DEFAULT $$'"$$,
    "list's ""id""" int REFERENCES "it's a ""list"", 100%")`;

const LISTS = `SELECT l."the ""id""" AS id, ARRAY["order", "x/y@z:""select"""]::text[] AS got, ARRAY[
  count(e.id), COALESCE(sum(e."a ""b""") FILTER (WHERE e."from" = '''"'), 0)]::text[] AS right
  FROM "it's a ""list"", 100%" l LEFT JOIN "select" e ON e."list's ""id""" = l."the ""id""" GROUP BY 1, 2 ORDER BY 1`;

@Entity()
@CounterCache<Node, Node>({ relation: 'parent', column: 'childrenCount' })
class Node {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) childrenCount!: number;
  @ManyToOne(() => Node, (node) => node.children, { nullable: true }) parent!: Relation<Node> | null;
  @OneToMany(() => Node, (node) => node.parent, { cascade: true }) children!: Node[];
}

const NODES = `SELECT n.id, ARRAY["childrenCount"]::text[] AS got,
  ARRAY[(SELECT count(*) FROM node c WHERE c."parentId" = n.id)]::text[] AS right FROM node n ORDER BY n.id`;

@Entity()
class Gallery {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) mediaCount!: number;
  @Column({ default: 0 }) photosCount!: number;
}

@Entity()
@TableInheritance({ column: { type: 'varchar', name: 'type' } })
@CounterCache<Media, Gallery>({ relation: 'gallery', column: 'mediaCount' })
class Media {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) title!: string;
  @ManyToOne(() => Gallery, { nullable: true }) gallery!: Relation<Gallery> | null;
}

@ChildEntity()
@CounterCache<Photo, Gallery>({ relation: 'gallery', column: 'photosCount' })
class Photo extends Media {}

@ChildEntity()
class Video extends Media {}

const GALLERIES = `SELECT g.id, ARRAY["mediaCount", "photosCount"]::text[] AS got,
  ARRAY[count(m.id), count(m.id) FILTER (WHERE m.type = 'Photo')]::text[] AS right
  FROM gallery g LEFT JOIN media m ON m."galleryId" = g.id GROUP BY g.id ORDER BY g.id`;

class Placement {
  @Column({ default: 0 }) row!: number;
  @ManyToOne(() => Shelf, { nullable: true })
  @JoinColumn({ name: 'onShelf' })
  shelf!: Relation<Shelf> | null;
}

class Figures {
  @Column({ default: 0 }) books!: number;
}

@Entity()
class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @Column(() => Figures) figures!: Figures;
}

@Entity()
@CounterCache<Book, Shelf>({ relation: 'at.shelf', column: 'figures.books', where: { at: { row: 0 } } })
class Book {
  @PrimaryGeneratedColumn() id!: number;
  @Column(() => Placement) at!: Placement;
}

/** The name of an embedded join column is TypeORM's. */
const shelves = (
  column: string,
): string => `SELECT s.id, ARRAY["figuresBooks"]::text[] AS got, ARRAY[count(b.id)]::text[] AS right
  FROM shelf s LEFT JOIN book b ON b."${column}" = s.id AND b."atRow" = 0 GROUP BY s.id ORDER BY s.id`;

let fixture: Fixture;

describe.each(['18', '17.0'])('PostgreSQL %s', (version) => {
  beforeAll(async () => {
    fixture = await setup({ entities: [Node, Gallery, Media, Photo, Video, Shelf, Placement, Book] });
    if (version === '17.0') (fixture.dataSource.driver as { version?: string }).version = version;
  });
  afterEach(() => expect(fixture.errors).toEqual([]));
  afterAll(() => fixture.close());

  test('a self-reference', async () => {
    const { manager } = fixture.dataSource;
    const root = await manager.save(manager.create(Node, { children: [{ children: [{}, {}] }, {}] }));
    await expectAgreement(fixture, NODES);
    const [first, second] = root.children;
    await manager.update(Node, { parent: { id: first?.id ?? 0 } }, { parent: second ?? null });
    await manager.update(Node, { id: root.id }, { parent: first ?? null });
    await expectAgreement(fixture, NODES);
    await expectRecount(fixture, 'UPDATE node SET "childrenCount" = 9', NODES);
  });

  test('a counter on a child class counts only its rows, whichever class writes them', async () => {
    const { manager } = fixture.dataSource;
    const [one, two] = await manager.save(manager.create(Gallery, [{}, {}]));
    if (one === undefined || two === undefined) throw new Error('no galleries');
    await manager.save([manager.create(Photo, { gallery: one }), manager.create(Video, { gallery: one })]);
    await manager.insert(Photo, [{ gallery: one }, { gallery: two }]);
    await manager.insert(Video, { gallery: one });
    await expectAgreement(fixture, GALLERIES);
    await manager.update(Photo, { gallery: { id: one.id } }, { gallery: two });
    await expectAgreement(fixture, GALLERIES);
    await manager.update(Media, { gallery: { id: two.id } }, { gallery: one });
    await expectAgreement(fixture, GALLERIES);
    const [photo] = await manager.find(Photo);
    await manager.delete(Media, { id: photo?.id ?? 0 });
    await manager.delete(Video, { gallery: { id: one.id } });
    await expectAgreement(fixture, GALLERIES);
    await expectRecount(fixture, 'UPDATE gallery SET "mediaCount" = 9, "photosCount" = 9', GALLERIES);
  });

  test('an embedded foreign key, condition and counter', async () => {
    const { manager } = fixture.dataSource;
    const [join] = fixture.dataSource.getMetadata(Book).relations.flatMap(({ joinColumns }) => joinColumns);
    const SHELVES = shelves(join?.databaseName ?? '');
    const [one, two] = await manager.save(manager.create(Shelf, [{}, {}]));
    const book = await manager.save(manager.create(Book, { at: { row: 0, shelf: one ?? null } }));
    await manager.insert(Book, [{ at: { row: 1, shelf: one ?? null } }, { at: { shelf: two ?? null } }]);
    await expectAgreement(fixture, SHELVES);
    book.at.shelf = two ?? null;
    await manager.save(book);
    await manager.update(Book, { at: { row: 1 } }, { at: { row: 0 } });
    await expectAgreement(fixture, SHELVES);
    await expectRecount(fixture, 'UPDATE shelf SET "figuresBooks" = 9', SHELVES);
  });
});

describe.each(['18', '17.0'])('names that need care, PostgreSQL %s', (version) => {
  beforeAll(async () => {
    fixture = await setup({ entities: [List, Entry], dataSource: { synchronize: false } });
    await fixture.dataSource.query(TABLES);
    const missing: unknown = await fixture.counters.status().catch((error: unknown) => error);
    await fixture.dataSource.query((missing as TablesMissingError).sql);
    if (version === '17.0') (fixture.dataSource.driver as { version?: string }).version = version;
  });
  afterEach(() => expect(fixture.errors).toEqual([]));
  afterAll(() => fixture.close());

  test('tables and columns with quotes, spaces, reserved words and our own separators', async () => {
    const { manager } = fixture.dataSource;
    const [one, two] = await manager.save(manager.create(List, [{}, {}]));
    await manager.insert(Entry, [{ list: one ?? null, amount: 4 }, { list: two ?? null, kind: 'x' }, {}]);
    await expectAgreement(fixture, LISTS);
    await manager.update(Entry, { amount: 1 }, { list: one ?? null, amount: 7, kind: `'"` });
    await manager.upsert(Entry, { id: 1, amount: 9, list: two ?? null }, ['id']);
    await expectAgreement(fixture, LISTS);
    await manager.delete(Entry, { amount: 7 });
    await expectAgreement(fixture, LISTS);
    await expectRecount(fixture, `UPDATE "it's a ""list"", 100%" SET "order" = 99, "x/y@z:""select""" = 99`, LISTS);
  });
});

@Entity({ schema: 'sales dept' })
class Client {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) invoicesCount!: number;
}

@Entity({ schema: 'books' })
@CounterCache<Invoice, Client>({ relation: 'client', column: 'invoicesCount' })
class Invoice {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'enum', enum: ['open', 'paid'], default: 'open' }) state!: string;
  @ManyToOne(() => Client) client!: Relation<Client>;
}

const CLIENTS = `SELECT c.id, ARRAY["invoicesCount"]::text[] AS got,
  ARRAY[(SELECT count(*) FROM "books"."pre invoice" i WHERE i."clientId" = c.id)]::text[] AS right
  FROM "sales dept"."pre client" c ORDER BY c.id`;

test.each(['before', 'after'])(
  'other schemas, a default schema and an entityPrefix, attached %s initialize',
  async (when) => {
    const database = await createDatabase();
    const raw = await new DataSource({ type: 'postgres', url: database.url }).initialize();
    for (const schema of ['sales dept', 'books', 'own']) await raw.query(`CREATE SCHEMA "${schema}"`);
    await raw.destroy();
    const overrides = { schema: 'own', entityPrefix: 'pre ' } as const;
    const dataSource = newDataSource(database.url, [Client, Invoice], overrides);
    if (when === 'after') dataSource.setOptions({ entities: [Client, Invoice, ...(await tables())] as never });
    if (when === 'after') await dataSource.initialize();
    const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS });
    if (when === 'before') await dataSource.initialize();
    const worker = await counters.startWorker();
    const { manager } = dataSource;
    const client = await manager.save(manager.create(Client));
    await manager.insert(Invoice, [{ client }, { client }]);
    await manager.update(
      Invoice,
      { client: { id: client.id } },
      { client: await manager.save(manager.create(Client)) },
    );
    await worker.close();
    const errors: unknown[] = [];
    const own = { databaseUrl: database.url, dataSource, counters, worker, errors, close: () => Promise.resolve() };
    await expectAgreement(own, CLIENTS);
    expect(await dataSource.query('SELECT 1 FROM own."pre counter_cache_ledger" LIMIT 1')).toHaveLength(1);
    await counters.close();
    await dataSource.destroy();
    await database.drop();
  },
);

async function tables(): Promise<readonly unknown[]> {
  return (await import('typeorm-counter-cache')).counterCacheEntities;
}
