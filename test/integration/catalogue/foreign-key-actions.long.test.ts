import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { madeBySql } from '../../support/made-by-sql';
import { type Fixture, setup } from '../../support/setup';
import { describeVersions } from '../../support/versions';
import { expectAgreed } from '../shapes/truth';

@Entity()
class Site {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) articlesCount!: number;
}

@Entity()
class Author {
  @PrimaryColumn() siteId!: number;
  @PrimaryColumn() id!: number;
}

/** Its metadata say CASCADE everywhere. */
@Entity()
@CounterCache<Article, Site>({ relation: 'site', column: 'articlesCount' })
class Article {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ nullable: true }) siteId!: number | null;
  @ManyToOne(() => Site, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'siteId' })
  site!: Relation<Site> | null;
  @Column({ nullable: true }) authorId!: number | null;
  @ManyToOne(() => Author, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn([
    { name: 'siteId', referencedColumnName: 'siteId' },
    { name: 'authorId', referencedColumnName: 'id' },
  ])
  author!: Relation<Author> | null;
}

const TABLES = (action: string): string => `
  CREATE TABLE site (id serial PRIMARY KEY, "articlesCount" int NOT NULL DEFAULT 0);
  CREATE TABLE author ("siteId" int, id int, PRIMARY KEY ("siteId", id));
  CREATE TABLE article (id serial PRIMARY KEY, "siteId" int REFERENCES site ON DELETE CASCADE, "authorId" int
    ${action === '' ? '' : `, FOREIGN KEY ("siteId", "authorId") REFERENCES author ("siteId", id) ${action}`});
  INSERT INTO site VALUES (1);
  INSERT INTO author VALUES (1, 1), (1, 2);`;

/** Actions of the one foreign key, and what is left of four articles of a site once the author of three has gone. */
const CASES = [
  ['SET NULL of one column', 'ON DELETE SET NULL ("authorId")', 4],
  ['SET NULL of the whole key', 'ON DELETE SET NULL', 1],
  ['CASCADE, as declared', 'ON DELETE CASCADE', 1],
  ['no constraint', '', 4],
  ['SET DEFAULT of one column', 'ON DELETE SET DEFAULT ("authorId")', 4],
  ['SET DEFAULT of the whole key', 'ON DELETE SET DEFAULT', 1],
] as const;

describeVersions('what the database does when a row is deleted', (server) => {
  test.each(CASES)('%s', async (_, action, left) => {
    const fixture = await setup({ ...madeBySql(TABLES(action)), entities: [Site, Author, Article], server: server() });
    const { manager } = fixture.dataSource;
    await manager.insert(
      Article,
      [1, 1, 1, 2].map((authorId) => ({ siteId: 1, authorId })),
    );
    await manager.delete(Author, { siteId: 1, id: 1 });
    await fixture.counters.flush();
    expect(await manager.findOneBy(Site, { id: 1 })).toEqual({ id: 1, articlesCount: left });
    await expectAgreed(fixture);
    await fixture.close();
  });
});

@Entity()
class Country {
  @PrimaryColumn() code!: string;
}

@Entity()
class Team {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) playersCount!: number;
  @Column({ default: 0 }) seniorsCount!: number;
}

/** No relation to what its rows are deleted, or changed, with. */
@Entity()
@CounterCache<Player, Team>({ relation: 'team', column: 'playersCount', where: { country: 'A' } })
@CounterCache<Player, Team>({ relation: 'team', column: 'seniorsCount', where: { isSenior: true } })
class Player {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Team) team!: Relation<Team>;
  @Column({ type: 'text', nullable: true }) country!: string | null;
  @Column({ type: 'integer', nullable: true }) clubId!: number | null;
  @Column({ type: 'integer', nullable: true }) captainId!: number | null;
  @Column({ type: 'boolean', nullable: true, insert: false, update: false }) isSenior!: boolean | null;
}

/** Country → league and club, which nothing maps, → player; the captain is a player. */
const CLUBS = `
  CREATE TABLE country (code text PRIMARY KEY);
  CREATE TABLE team (id serial PRIMARY KEY, "playersCount" int NOT NULL DEFAULT 0, "seniorsCount" int NOT NULL DEFAULT 0);
  CREATE TABLE league (name text PRIMARY KEY, country text REFERENCES country ON DELETE CASCADE ON UPDATE CASCADE);
  CREATE TABLE club (id int, league text REFERENCES league ON DELETE CASCADE, at timestamptz NOT NULL, UNIQUE (id), UNIQUE (at));
  CREATE TABLE player (id serial PRIMARY KEY, "teamId" int REFERENCES team,
    country text REFERENCES country ON UPDATE CASCADE ON DELETE SET NULL, "clubId" int REFERENCES club (id) ON DELETE CASCADE,
    "clubAt" timestamptz REFERENCES club (at) ON DELETE SET NULL, "captainId" int REFERENCES player ON DELETE SET NULL,
    "isSenior" boolean GENERATED ALWAYS AS ("captainId" IS NULL) STORED);
  INSERT INTO country VALUES ('A'), ('B');
  INSERT INTO team VALUES (1);
  INSERT INTO league VALUES ('a', 'A'), ('b', 'B');
  INSERT INTO club VALUES (1, 'a', '2020-01-01 00:00:00.000001'), (2, 'b', '2020-01-01 00:00:00.000002');`;

describeVersions('foreign keys that only the database knows', (server) => {
  let fixture: Fixture;
  const team = async (): Promise<Team | null> => {
    await fixture.counters.flush();
    await expectAgreed(fixture);
    return fixture.dataSource.manager.findOneBy(Team, { id: 1 });
  };

  beforeEach(async () => {
    fixture = await setup({ ...madeBySql(CLUBS), entities: [Country, Team, Player], server: server() });
    const { manager } = fixture.dataSource;
    await manager.insert(Player, { team: { id: 1 }, country: 'A', clubId: 1 });
    await manager.insert(Player, { team: { id: 1 }, country: 'A', clubId: 2, captainId: 1 });
    await manager.insert(Player, { team: { id: 1 }, country: 'B', clubId: 1, captainId: 1 });
    await fixture.dataSource.query(
      `UPDATE player SET "clubAt" = (SELECT at FROM club WHERE club.id = player."clubId")`,
    );
    await fixture.counters.flush();
  });
  afterEach(() => fixture.close());

  test('are followed through tables that no entity maps', async () => {
    await fixture.dataSource.manager.delete(Country, { code: 'A' });
    expect(await fixture.dataSource.manager.countBy(Player, {})).toBe(1);
    // Its captain has gone with the club.
    expect(await team()).toMatchObject({ playersCount: 0, seniorsCount: 1 });
  });

  test('are followed when a key changes', async () => {
    await fixture.dataSource.manager.update(Country, { code: 'A' }, { code: 'C' });
    expect(await team()).toMatchObject({ playersCount: 0, seniorsCount: 1 });
    await fixture.dataSource.manager.update(Country, { code: 'B' }, { code: 'A' });
    expect(await team()).toMatchObject({ playersCount: 1 });
  });

  test('change generated columns with their own', async () => {
    await fixture.dataSource.manager.update(Player, { id: 3 }, { captainId: 2 });
    await fixture.dataSource.manager.delete(Player, { id: 2 });
    expect(await team()).toMatchObject({ playersCount: 1, seniorsCount: 2 });
  });
});

@Entity()
class Shop {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) salesCount!: number;
}

@Entity()
class Clerk {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'integer', nullable: true, unique: true }) badge!: number | null;
}

@Entity()
@CounterCache<Sale, Shop>({ relation: 'shop', column: 'salesCount', where: { badge: 7 } })
class Sale {
  @PrimaryColumn() id!: number;
  @PrimaryColumn() year!: number;
  @ManyToOne(() => Shop) shop!: Relation<Shop>;
  @Column({ type: 'integer', nullable: true }) clerkId!: number | null;
  @Column({ type: 'integer', nullable: true }) badge!: number | null;
}

/** One foreign key of the partitioned table, one of a partition only, and one whose action a trigger overrules. */
const SALES = `
  CREATE TABLE shop (id serial PRIMARY KEY, "salesCount" int NOT NULL DEFAULT 0);
  CREATE TABLE clerk (id serial PRIMARY KEY, badge int UNIQUE);
  CREATE TABLE sale (id int, year int, "shopId" int REFERENCES shop, "clerkId" int REFERENCES clerk ON DELETE CASCADE, badge int,
    PRIMARY KEY (id, year)) PARTITION BY LIST (year);
  CREATE TABLE sale_1 PARTITION OF sale FOR VALUES IN (1);
  CREATE TABLE sale_2 PARTITION OF sale FOR VALUES IN (2);
  ALTER TABLE sale_1 ADD FOREIGN KEY (badge) REFERENCES clerk (badge) ON UPDATE SET NULL;
  INSERT INTO shop VALUES (1);
  INSERT INTO clerk VALUES (1, 7), (2, 8);`;

const KEEP = `
  CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
  CREATE TRIGGER keep BEFORE DELETE ON sale_2 FOR EACH ROW EXECUTE FUNCTION keep();`;

describeVersions('foreign keys of partitioned tables', (server) => {
  const open = async (sql: string): Promise<Fixture> => {
    const fixture = await setup({ ...madeBySql(sql), entities: [Shop, Clerk, Sale], server: server() });
    const rows = [1, 2].map((year) => ({ id: 1, year, shop: { id: 1 }, clerkId: 1, badge: 7 }));
    await fixture.dataSource.manager.insert(Sale, rows);
    await fixture.dataSource.manager.insert(Sale, { id: 2, year: 1, shop: { id: 1 }, clerkId: 2, badge: 7 });
    return fixture;
  };
  const expectSales = async ({ counters, dataSource, ...fixture }: Fixture, count: number): Promise<void> => {
    await counters.flush();
    expect(await dataSource.manager.findOneBy(Shop, { id: 1 })).toMatchObject({ salesCount: count });
    await expectAgreed({ counters, dataSource, ...fixture });
    await fixture.close();
  };

  test('a row of it goes', async () => {
    const fixture = await open(SALES.replace('ON UPDATE SET NULL', 'ON DELETE SET NULL'));
    await fixture.dataSource.manager.delete(Clerk, { id: 1 });
    await expectSales(fixture, 0);
  });

  test('a key of one partition is set to NULL', async () => {
    const fixture = await open(SALES);
    await fixture.dataSource.manager.update(Clerk, { id: 1 }, { badge: 9 });
    await expectSales(fixture, 1);
  });

  test('a trigger keeps a row from going', async () => {
    const fixture = await open(`${SALES.replace('ON UPDATE SET NULL', 'ON DELETE SET NULL')} ${KEEP}`);
    await fixture.dataSource.manager.delete(Clerk, { id: 1 });
    await expectSales(fixture, 1);
  });
});
