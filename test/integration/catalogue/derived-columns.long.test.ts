import {
  Column,
  DeleteDateColumn,
  Entity,
  IsNull,
  JoinTable,
  ManyToMany,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { madeBySql } from '../../support/made-by-sql';
import { type Fixture, setup } from '../../support/setup';
import { describeVersions } from '../../support/versions';
import { expectAgreed } from '../shapes/truth';

@Entity()
class Invoice {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) totalSum!: number;
  @Column({ default: 0 }) grossSum!: number;
  @Column({ default: 0 }) notesCount!: number;
}

@Entity()
@CounterCache<Line, Invoice>({ relation: 'invoice', column: 'totalSum', incrementBy: 'total' })
@CounterCache<Line, Invoice>({ relation: 'invoice', column: 'grossSum', incrementBy: 'gross' })
class Line {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ unique: true }) code!: string;
  @Column() quantity!: number;
  /** A trigger's. */
  @Column({ default: 0 }) total!: number;
  @Column({ insert: false, update: false, nullable: true }) gross!: number;
  @Column({ default: '' }) title!: string;
  @DeleteDateColumn() deletedAt!: Date | null;
  @ManyToOne(() => Invoice) invoice!: Relation<Invoice>;
}

@Entity()
@CounterCache<Note, Invoice>({ relation: 'line.invoice', column: 'notesCount', where: { line: { total: 80 } } })
class Note {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Line, { onDelete: 'CASCADE' }) line!: Relation<Line>;
}

const DERIVED = `
  ALTER TABLE line DROP COLUMN gross;
  ALTER TABLE line ADD COLUMN gross int GENERATED ALWAYS AS (quantity * 3) STORED;
  CREATE FUNCTION derive() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.total := NEW.quantity * 10; RETURN NEW; END';
  CREATE TRIGGER derive BEFORE INSERT OR UPDATE ON line FOR EACH ROW EXECUTE FUNCTION derive();`;

describeVersions('columns that the database derives', (server) => {
  let fixture: Fixture;
  let invoice: Invoice;
  const sums = async (): Promise<(number | undefined)[]> => {
    await fixture.counters.flush();
    await expectAgreed(fixture);
    const found = await fixture.dataSource.manager.findOneBy(Invoice, { id: invoice.id });
    return [found?.totalSum, found?.grossSum, found?.notesCount];
  };

  beforeAll(async () => {
    const entities = [Invoice, Line, Note];
    fixture = await setup({ ...madeBySql(DERIVED, entities), entities, server: server() });
  });
  beforeEach(async () => {
    const { manager } = fixture.dataSource;
    await manager.createQueryBuilder().delete().from(Note).execute();
    await manager.createQueryBuilder().delete().from(Line).execute();
    invoice = await manager.save(manager.create(Invoice));
    await manager.insert(Line, [
      { code: 'a', quantity: 5, invoice },
      { code: 'b', quantity: 3, invoice },
    ]);
  });
  afterAll(() => fixture.close());

  test('count by what they become when other columns are updated', async () => {
    expect(await sums()).toEqual([80, 24, 0]);
    await fixture.dataSource.manager.update(Line, { code: 'a' }, { quantity: 8 });
    expect(await sums()).toEqual([110, 33, 0]);
    await fixture.dataSource.manager.update(Line, { code: 'a' }, { title: 'changed' });
    expect(await sums()).toEqual([110, 33, 0]);
    await fixture.dataSource.manager.increment(Line, { deletedAt: IsNull() }, 'quantity', 1);
    expect(await sums()).toEqual([130, 39, 0]);
  });

  test('by save(), upserts, and soft-deletes', async () => {
    const { manager } = fixture.dataSource;
    const line = await manager.findOneByOrFail(Line, { code: 'a' });
    await manager.save(Object.assign(line, { quantity: 1 }));
    expect(await sums()).toEqual([40, 12, 0]);
    await manager.upsert(
      Line,
      [
        { code: 'a', quantity: 2, invoice },
        { code: 'c', quantity: 4, invoice },
      ],
      ['code'],
    );
    expect(await sums()).toEqual([90, 27, 0]);
    await manager.softDelete(Line, { code: 'c' });
    expect(await sums()).toEqual([50, 15, 0]);
    await manager.restore(Line, { code: 'c' });
    expect(await sums()).toEqual([90, 27, 0]);
  });

  test('of intermediate rows move what hangs below', async () => {
    const { manager } = fixture.dataSource;
    const worker = await fixture.counters.startWorker();
    const line = await manager.findOneByOrFail(Line, { code: 'a' });
    await manager.insert(Note, [{ line }, { line }]);
    await manager.update(Line, { code: 'a' }, { quantity: 8 });
    await fixture.counters.settled();
    await worker.close();
    await fixture.counters.recalculate({ target: Invoice, ids: [invoice.id] });
    expect(await sums()).toEqual([110, 33, 2]);
  });

  test('without a word of the metadata: 80, not 50', async () => {
    await fixture.dataSource.manager.update(Line, { code: 'a' }, { quantity: 5 });
    expect((await sums())[0]).toBe(80);
  });
});

@Entity()
class Tag {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) shownCount!: number;
}

@Entity()
class Page {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) slug!: string;
  @ManyToMany(() => Tag)
  @JoinTable()
  tags!: Tag[];
}

/** Its target is told by the database: a key of its own making. */
@Entity()
@CounterCache<Visit, Tag>({ relation: 'tag', column: 'shownCount' })
class Visit {
  @PrimaryColumn() id!: number;
  @Column() url!: string;
  @Column({ type: 'integer', nullable: true }) tagId!: number | null;
  @ManyToOne(() => Tag, { nullable: true })
  tag!: Relation<Tag> | null;
}

/** The trigger is a partition's alone. */
const PARTS = `
  CREATE TABLE tag (id serial PRIMARY KEY, "shownCount" int NOT NULL DEFAULT 0);
  CREATE TABLE page (id serial PRIMARY KEY, slug text NOT NULL DEFAULT '');
  CREATE TABLE page_tags_tag ("pageId" int REFERENCES page, "tagId" int REFERENCES tag, PRIMARY KEY ("pageId", "tagId"));
  CREATE TABLE visit (id int PRIMARY KEY, url text NOT NULL, "tagId" int REFERENCES tag) PARTITION BY RANGE (id);
  CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (1) TO (100);
  CREATE FUNCTION find_tag() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW."tagId" := length(NEW.url); RETURN NEW; END';
  CREATE TRIGGER find_tag BEFORE UPDATE ON visit_1 FOR EACH ROW EXECUTE FUNCTION find_tag();
  INSERT INTO tag SELECT i FROM generate_series(1, 5) i;`;

describeVersions('a trigger of one partition', (server) => {
  test('moves rows to other targets', async () => {
    const fixture = await setup({ ...madeBySql(PARTS), entities: [Tag, Page, Visit], server: server() });
    const { manager } = fixture.dataSource;
    await manager.insert(Visit, { id: 1, url: 'a', tagId: 1 });
    await manager.update(Visit, { id: 1 }, { url: 'abc' });
    await fixture.counters.flush();
    expect((await manager.find(Tag, { order: { id: 'ASC' } })).map(({ shownCount }) => shownCount)).toEqual([
      0, 0, 1, 0, 0,
    ]);
    await expectAgreed(fixture);
    await fixture.close();
  });
});
