import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';

@Entity()
export class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) booksCount!: number;
}

@Entity()
export class Crate {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) booksCount!: number;
}

@Entity()
@CounterCache<Book, Shelf>({ relation: 'shelf', column: 'booksCount' })
@CounterCache<Book, Crate>({ relation: 'crate', column: 'booksCount' })
export class Book {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Shelf, { nullable: true, createForeignKeyConstraints: false }) shelf!: Relation<Shelf> | null;
  @ManyToOne(() => Crate, { nullable: true, createForeignKeyConstraints: false }) crate!: Relation<Crate> | null;
}

/** Good shelves beside the bad one. */
export const GOOD = 40;

/** Shelves, the bad one among them, and a crate; each with one book whose delta waits. */
export async function fill({ dataSource, counters }: Fixture): Promise<{ bad: number; shelves: Shelf[] }> {
  const { manager } = dataSource;
  const shelves = await manager.save(
    Shelf,
    Array.from({ length: GOOD + 1 }, () => manager.create(Shelf)),
  );
  const crate = await manager.save(manager.create(Crate));
  await manager.insert(
    Book,
    shelves.map((shelf) => ({ shelf, crate })),
  );
  await counters.settled();
  return { bad: shelves[GOOD / 2]?.id ?? 0, shelves };
}

/** Ids of shelves whose column is wrong. */
export async function wrongShelves({ dataSource }: Fixture): Promise<number[]> {
  const rows: { id: number }[] = await dataSource.query(
    `SELECT s.id FROM shelf s WHERE "booksCount" <> (SELECT count(*) FROM book b WHERE b."shelfId" = s.id) ORDER BY 1`,
  );
  return rows.map(({ id }) => id);
}

/** What the crate's column holds. */
export async function crateCount({ dataSource }: Fixture): Promise<number> {
  const [crate] = await dataSource.manager.find(Crate);
  return crate?.booksCount ?? -1;
}

/** Has a trigger do something before every UPDATE of a row of a table. */
export async function beforeUpdate({ dataSource }: Fixture, body: string, table = 'shelf'): Promise<void> {
  await dataSource.query(
    `CREATE OR REPLACE FUNCTION before_update() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} RETURN NEW; END $$`,
  );
  await dataSource.query(
    `CREATE TRIGGER before_update BEFORE UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION before_update()`,
  );
}
