import { Column, Entity, JoinColumn, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, type TablesMissingError } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity({ name: 'file', schema: 'disk' })
class DiskFile {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) linksCount!: number;
}

@Entity({ name: 'file', schema: 'Tape "7"' })
class TapeFile {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) linksCount!: number;
}

@Entity({ name: 'Link', schema: 'disk' })
@CounterCache<DiskLink, DiskFile>({ relation: 'file', column: 'linksCount', where: { kind: 'Hard' } })
class DiskLink {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'enum', enum: ['Hard', 'soft'], default: 'Hard' }) kind!: string;
  @ManyToOne(() => DiskFile, { onDelete: 'CASCADE' }) file!: Relation<DiskFile> | null;
}

@Entity({ name: 'Link', schema: 'Tape "7"' })
@CounterCache<TapeLink, TapeFile>({ relation: 'file', column: 'linksCount' })
@CounterCache<TapeLink, DiskFile>({ relation: 'copyOf', column: 'linksCount', incrementBy: 10 })
class TapeLink {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => TapeFile) file!: Relation<TapeFile> | null;
  @ManyToOne(() => DiskFile, { onDelete: 'SET NULL' })
  @JoinColumn({ name: 'copyId' })
  copyOf!: Relation<DiskFile> | null;
}

const LINKED: readonly Truth[] = [
  {
    table: 'disk.file',
    columns: {
      '"linksCount"': `(SELECT count(*) FROM disk."Link" l WHERE l."fileId" = t.id AND l.kind = 'Hard')
        + 10 * (SELECT count(*) FROM "Tape ""7"""."Link" l WHERE l."copyId" = t.id)`,
    },
  },
  {
    table: '"Tape ""7""".file',
    columns: { '"linksCount"': '(SELECT count(*) FROM "Tape ""7"""."Link" l WHERE l."fileId" = t.id)' },
  },
];

/** Made by hand: TypeORM's own `synchronize` stumbles over the quotes. */
const SCHEMAS = `
  CREATE SCHEMA disk; CREATE SCHEMA "Tape ""7""";
  CREATE TYPE disk."Link_kind_enum" AS ENUM ('Hard', 'soft');
  CREATE TABLE disk.file (id serial PRIMARY KEY, "linksCount" int NOT NULL DEFAULT 0);
  CREATE TABLE "Tape ""7""".file (id serial PRIMARY KEY, "linksCount" int NOT NULL DEFAULT 0);
  CREATE TABLE disk."Link" (id serial PRIMARY KEY, kind disk."Link_kind_enum" NOT NULL DEFAULT 'Hard',
    "fileId" int REFERENCES disk.file ON DELETE CASCADE);
  CREATE TABLE "Tape ""7"""."Link" (id serial PRIMARY KEY, "fileId" int REFERENCES "Tape ""7""".file,
    "copyId" int REFERENCES disk.file ON DELETE SET NULL)`;

let fixture: Fixture;

beforeAll(async () => {
  const entities = [DiskFile, TapeFile, DiskLink, TapeLink];
  fixture = await setupShape({ entities, dataSource: { synchronize: false } });
  await fixture.dataSource.query(SCHEMAS);
  const missing: unknown = await fixture.counters.status().catch((error: unknown) => error);
  await fixture.dataSource.query((missing as TablesMissingError).sql);
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('tables of one name in two schemas, PostgreSQL %s', (version) => {
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  afterEach(() => expectAgreed(fixture));

  test('never meet, whatever is written', async () => {
    const [disk, other] = await manager().save(manager().create(DiskFile, [{}, {}]));
    const [tape, last] = await manager().save(manager().create(TapeFile, [{}, {}]));
    if (disk === undefined || other === undefined || tape === undefined || last === undefined)
      throw new Error('no files');
    expect(disk.id).toBe(tape.id);
    await expectEveryWrite<DiskFile>(fixture, {
      source: DiskLink,
      targets: [disk, other],
      values: (file, row) => ({ file, kind: row % 2 === 0 ? 'Hard' : 'soft' }),
      truths: LINKED,
    });
    await expectEveryWrite<TapeFile>(fixture, {
      source: TapeLink,
      targets: [tape, last],
      values: (file) => ({ file, copyOf: disk }),
      truths: LINKED,
    });
    await manager().delete(DiskFile, { id: disk.id });
    await expectRight(fixture, LINKED);
  });
});
