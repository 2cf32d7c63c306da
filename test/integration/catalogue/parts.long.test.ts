import { Column, Entity, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { ConfigurationError, CounterCache } from 'typeorm-counter-cache';

import { madeBySql } from '../../support/made-by-sql';
import { type Fixture, setup } from '../../support/setup';
import { describeVersions } from '../../support/versions';
import { expectAgreed } from '../shapes/truth';

@Entity()
class Meter {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) readingsCount!: number;
}

@Entity()
@CounterCache<Reading, Meter>({ relation: 'meter', column: 'readingsCount' })
class Reading {
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Meter) meter!: Relation<Meter>;
}

@Entity()
class ReadingPart {
  @PrimaryColumn() id!: number;
  @Column() meterId!: number;
}

const METER = `CREATE TABLE meter (id serial PRIMARY KEY, "readingsCount" int NOT NULL DEFAULT 0); INSERT INTO meter VALUES (1);`;
const SHAPES = {
  'child table': `${METER} CREATE TABLE reading (id int PRIMARY KEY, "meterId" int REFERENCES meter);
    CREATE TABLE reading_part () INHERITS (reading);`,
  partition: `${METER} CREATE TABLE reading (id int PRIMARY KEY, "meterId" int REFERENCES meter) PARTITION BY RANGE (id);
    CREATE TABLE reading_part PARTITION OF reading FOR VALUES FROM (1) TO (100);`,
};

describeVersions('parts of a counted table', (server) => {
  describe.each(Object.entries(SHAPES))('a %s', (_, sql) => {
    test('that is an entity of its own is refused', async () => {
      const opening = setup({ ...madeBySql(sql), entities: [Meter, Reading, ReadingPart], server: server() });
      await expect(opening).rejects.toThrow(ConfigurationError);
      await expect(opening).rejects.toThrow(
        'Reading.meter → Meter.readingsCount: expected Reading to be the only entity of its rows, got: ReadingPart, whose table public.reading_part is a part of public.reading',
      );
    });

    test('that is none counts', async () => {
      const fixture: Fixture = await setup({ ...madeBySql(sql), entities: [Meter, Reading], server: server() });
      const { manager } = fixture.dataSource;
      const count = async (): Promise<number | undefined> => {
        await fixture.counters.flush();
        await expectAgreed(fixture);
        return (await manager.findOneBy(Meter, { id: 1 }))?.readingsCount;
      };
      await fixture.dataSource.query('INSERT INTO reading_part VALUES (1, 1), (2, 1)');
      await fixture.counters.recalculate();
      await manager.insert(Reading, { id: 3, meter: { id: 1 } });
      await manager.upsert(
        Reading,
        [
          { id: 3, meter: { id: 1 } },
          { id: 4, meter: { id: 1 } },
        ],
        ['id'],
      );
      expect(await count()).toBe(4);
      await manager.delete(Reading, { id: 1 });
      expect(await count()).toBe(3);
      await fixture.close();
    });
  });
});
