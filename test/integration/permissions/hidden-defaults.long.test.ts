import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { madeBySql } from '../../support/made-by-sql';
import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';

@Entity()
class Folder {
  @PrimaryColumn() id!: number;
  @Column({ default: 0 }) filesCount!: number;
}

@Entity()
@CounterCache<File, Folder>({ relation: 'folder', column: 'filesCount' })
class File {
  @PrimaryColumn() id!: number;
  @Column({ type: 'int', nullable: true }) folderId!: number | null;
  @ManyToOne(() => Folder) @JoinColumn({ name: 'folderId' }) folder!: Relation<Folder> | null;
}

const TABLES = (actions: string, role: string): string => `
  CREATE TABLE folder (id int PRIMARY KEY, "filesCount" int NOT NULL DEFAULT 0);
  CREATE TABLE file (id int PRIMARY KEY, "folderId" int DEFAULT 0 REFERENCES folder ${actions});
  ALTER TABLE file ENABLE ROW LEVEL SECURITY;
  CREATE ROLE ${role};
  GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role};
  GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO ${role};`;

const TRIGGER = `
  CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW."folderId" := coalesce(NEW."folderId", 0); RETURN NEW; END';
  CREATE TRIGGER keep BEFORE UPDATE ON file FOR EACH ROW EXECUTE FUNCTION keep();`;

const CASES = [
  ['by the default of a foreign key', 'ON DELETE SET DEFAULT ON UPDATE SET DEFAULT', ''],
  ['by a trigger', 'ON DELETE SET NULL ON UPDATE SET NULL', TRIGGER],
] as const;

describeVersions('rows out of sight that come to count for another row', (server, version) => {
  let fixture: Fixture;

  describe.each(CASES)('%s', (name, actions, trigger) => {
    const role = `counter_cache_defaults_${version}_${trigger === '' ? 'key' : 'trigger'}_${process.pid}`;
    const asRole = (work: (manager: Fixture['dataSource']['manager']) => Promise<unknown>) =>
      fixture.dataSource.transaction(async (manager) => {
        await manager.query(`SET LOCAL ROLE ${role}`);
        await work(manager);
      });
    const becomes = (id: number, count: number) =>
      until(async () => (await fixture.dataSource.manager.findOneBy(Folder, { id }))?.filesCount === count);

    beforeAll(async () => {
      const sql = `${TABLES(actions, role)} ${trigger}`;
      fixture = await setup({ ...madeBySql(sql), entities: [Folder, File], server: server(), worker: true });
      const { manager } = fixture.dataSource;
      await manager.insert(Folder, [{ id: 0 }, { id: 1 }, { id: 2 }]);
      await manager.insert(File, [
        { id: 1, folderId: 1 },
        { id: 2, folderId: 2 },
      ]);
      await becomes(1, 1);
      await becomes(2, 1);
    });
    afterAll(async () => {
      await fixture.dataSource.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
      await fixture.close();
    });

    test('when the row that they counted for goes, or gets another key', async () => {
      await asRole((manager) => manager.delete(Folder, 1));
      await becomes(0, 1);
      await asRole((manager) => manager.update(Folder, { id: 2 }, { id: 3 }));
      await becomes(0, 2);
      await becomes(3, 0);
      expect(fixture.errors).toMatchObject([{ code: 'NOT_PERMITTED' }]);
    });
  });
});
