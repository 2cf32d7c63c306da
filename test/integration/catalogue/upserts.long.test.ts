import { Column, Entity, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { madeBySql } from '../../support/made-by-sql';
import { type Fixture, setup } from '../../support/setup';
import { describeVersions } from '../../support/versions';
import { expectAgreed } from '../shapes/truth';

@Entity()
class Sensor {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) valuesSum!: number;
  @Column({ default: 0 }) samplesCount!: number;
}

@Entity()
@CounterCache<Sample, Sensor>({ relation: 'sensor', column: 'valuesSum', incrementBy: 'value' })
@CounterCache<Sample, Sensor>({ relation: 'sensor', column: 'samplesCount' })
class Sample {
  @PrimaryColumn() id!: number;
  @Column() value!: number;
  @Column({ default: '' }) note!: string;
  @ManyToOne(() => Sensor) sensor!: Relation<Sensor>;
}

const SENSOR = `
  CREATE TABLE sensor (id serial PRIMARY KEY, "valuesSum" int NOT NULL DEFAULT 0, "samplesCount" int NOT NULL DEFAULT 0);
  INSERT INTO sensor VALUES (1);`;
const COLUMNS = `(id int PRIMARY KEY, value int NOT NULL, note text NOT NULL DEFAULT '', "sensorId" int NOT NULL REFERENCES sensor)`;
const TABLES = {
  table: `${SENSOR} CREATE TABLE sample ${COLUMNS};`,
  'partitioned table': `${SENSOR} CREATE TABLE sample ${COLUMNS} PARTITION BY RANGE (id);
    CREATE TABLE sample_1 PARTITION OF sample FOR VALUES FROM (1) TO (100);
    CREATE TABLE sample_2 ("sensorId" int NOT NULL, note text NOT NULL DEFAULT '', value int NOT NULL, id int NOT NULL);
    ALTER TABLE sample ATTACH PARTITION sample_2 FOR VALUES FROM (100) TO (200);`,
  view: `${SENSOR} CREATE TABLE base ${COLUMNS}; CREATE VIEW sample AS SELECT * FROM base;`,
  'table with a child table': `${SENSOR} CREATE TABLE sample ${COLUMNS}; CREATE TABLE child () INHERITS (sample);`,
};

describeVersions('an upsert', (server) => {
  describe.each(Object.entries(TABLES))('of a %s', (_, sql) => {
    let fixture: Fixture;
    const upsert = (rows: Partial<Sample>[]) =>
      fixture.dataSource.manager.upsert(
        Sample,
        rows.map((row) => ({ value: 1, ...row, sensor: { id: 1 } })),
        ['id'],
      );
    const expectSums = async (valuesSum: number, samplesCount: number): Promise<void> => {
      await fixture.counters.flush();
      const [found] = await fixture.dataSource.manager.find(Sensor);
      expect(found).toMatchObject({ valuesSum, samplesCount });
      await expectAgreed(fixture);
    };

    beforeEach(async () => {
      fixture = await setup({ ...madeBySql(sql), entities: [Sensor, Sample], server: server() });
    });
    afterEach(() => fixture.close());

    test('tells new rows from updated ones', async () => {
      await upsert([{ id: 1 }]);
      await expectSums(1, 1);
      await upsert([{ id: 1, value: 5 }]);
      await expectSums(5, 1);
      await upsert([
        { id: 2, value: 2 },
        { id: 1, value: 7 },
        { id: 150, value: 4 },
      ]);
      await expectSums(13, 3);
      await upsert([
        { id: 1, value: 8 },
        { id: 3, value: 1 },
        { id: 2, value: 3 },
        { id: 4, value: 1 },
      ]);
      await expectSums(17, 5);
    });

    test('in a transaction with others', async () => {
      await fixture.dataSource.transaction(async (manager) => {
        for (const id of [1, 2, 1])
          await manager.upsert(Sample, { id, value: id, sensor: { id: 1 } }, { conflictPaths: ['id'] });
      });
      await expectSums(3, 2);
    });

    test('with conditions of its own', async () => {
      await upsert([{ id: 1, value: 5 }]);
      const { manager } = fixture.dataSource;
      await manager.upsert(
        Sample,
        [
          { id: 1, value: 5, sensor: { id: 1 } },
          { id: 2, value: 6, sensor: { id: 1 } },
        ],
        { conflictPaths: ['id'], skipUpdateIfNoValuesChanged: true },
      );
      await expectSums(11, 2);
      await manager.upsert(Sample, [{ id: 1, value: 9, note: ' WHERE (', sensor: { id: 1 } }], {
        conflictPaths: ['id'],
        skipUpdateIfNoValuesChanged: true,
      });
      await expectSums(15, 2);
    });

    test('beside others of the same rows', async () => {
      await Promise.all(
        Array.from({ length: 16 }, (unused, i) =>
          upsert([
            { id: (i % 4) + 1, value: i },
            { id: ((i + 1) % 4) + 101, value: i },
          ]).catch(() => undefined),
        ),
      );
      await fixture.counters.flush();
      await expectAgreed(fixture);
    });

    test('tracked, with raw ones', async () => {
      const { manager } = fixture.dataSource;
      await fixture.counters.track(manager, Sample, {}, async (inner) => {
        await inner.upsert(Sample, { id: 1, value: 2, sensor: { id: 1 } }, ['id']);
        await inner.insert(Sample, { id: 5, value: 2, sensor: { id: 1 } });
        await inner.query('INSERT INTO sample (id, value, "sensorId") VALUES (2, 3, 1)');
      });
      await fixture.counters.flush();
      await fixture.counters.recalculate();
      await expectSums(7, 3);
    });
  });
});
