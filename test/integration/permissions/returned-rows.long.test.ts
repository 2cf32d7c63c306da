import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, CounterCacheError } from 'typeorm-counter-cache';

import { describeVersions } from '../../support/versions';
import { type Member, openWorld, type World } from './tenants';

@Entity()
class Box {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) notesCount!: number;
  @Column({ default: 0 }) lettersCount!: number;
}

@Entity()
@CounterCache<Note, Box>({ relation: 'box', column: 'notesCount' })
class Note {
  @PrimaryColumn() id!: string;
  @Column() boxId!: number;
  @ManyToOne(() => Box, { nullable: false })
  @JoinColumn({ name: 'boxId' })
  box!: Relation<Box>;
}

@Entity()
class Secret {
  @PrimaryGeneratedColumn() id!: number;
  @Column() boxId!: number;
}

@Entity()
@CounterCache<Letter, Box>({
  relation: 'box',
  column: 'lettersCount',
  method: async (box, manager) => manager.count(Secret, { where: { boxId: box.id } }),
})
class Letter {
  @PrimaryGeneratedColumn() id!: number;
  @Column() boxId!: number;
  @ManyToOne(() => Box, { nullable: false })
  @JoinColumn({ name: 'boxId' })
  box!: Relation<Box>;
}

describeVersions('rows that a policy hides from the role that writes or counts them', (server) => {
  let world: World;
  let member: Member;
  let box: Box;

  beforeEach(async () => {
    world = await openWorld(server(), [Box, Note, Secret, Letter]);
    await world.roles('role');
    await world.sql(`GRANT ALL ON ALL TABLES IN SCHEMA public TO :role; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO :role;
      ALTER TABLE note ENABLE ROW LEVEL SECURITY;
      CREATE POLICY putting ON note FOR INSERT TO :role WITH CHECK (true)`);
    member = await world.attach('role');
    box = await world.dataSource.manager.save(new Box());
  });
  afterEach(() => world.close());

  test('an INSERT whose rows cannot be returned is refused, with the reason', async () => {
    const { manager } = member.dataSource;
    await expect(manager.insert(Note, { id: 'a', boxId: box.id })).rejects.toMatchObject({
      code: 'NOT_PERMITTED',
      problems: [expect.stringContaining('what it inserts into public.note, and counting returns it')],
      cause: { code: '42501' },
    });
    await world.sql('CREATE POLICY seeing ON note FOR SELECT TO :role USING (true)');
    await manager.insert(Note, { id: 'a', boxId: box.id });
  });

  test("a row that the policies do not admit stays the driver's error", async () => {
    await world.sql(`DROP POLICY putting ON note; CREATE POLICY putting ON note TO :role USING (id <> 'b')`);
    const { manager } = member.dataSource;
    const refused: unknown = await manager.insert(Note, { id: 'b', boxId: box.id }).catch((error: unknown) => error);
    expect(refused).not.toBeInstanceOf(CounterCacheError);
    expect(refused).toMatchObject({ code: '42501' });
    await manager.insert(Note, { id: 'a', boxId: box.id });
  });

  test('a method that reads what is hidden from it is refused, and counts nothing', async () => {
    await world.sql(`DROP POLICY putting ON note; ALTER TABLE note DISABLE ROW LEVEL SECURITY`);
    const { counters } = member;
    await world.sql('INSERT INTO secret ("boxId") VALUES ($1)', [box.id]);
    await counters.recalculate();
    const column = async () => (await world.sql('SELECT "lettersCount" AS n FROM box'))[0]?.['n'];
    expect(await column()).toBe(1);
    await world.sql('ALTER TABLE secret ENABLE ROW LEVEL SECURITY');
    const reason = expect.stringContaining('row-level security') as unknown;
    expect(await counters.recalculate()).toMatchObject({ checked: 0, failed: [{ reason }] });
    expect(await column()).toBe(1);
  });
});
