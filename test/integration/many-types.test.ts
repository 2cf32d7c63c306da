import { inspect } from 'node:util';

import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';

@Entity()
class Wall {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) notesCount!: number;
}

@Entity()
@CounterCache<Note, Wall>({
  polymorphic: { id: 'onId', type: 'onType', targets: () => ({ wall: Wall }) },
  column: 'notesCount',
})
class Note {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') onType!: string;
  @Column('int') onId!: number;
}

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Wall, Note] });
});
afterAll(() => fixture.close());

/** Rows of as many types, a thousand per statement. */
async function writeTypes(from: number, to: number, typeOf: (i: number) => string): Promise<void> {
  for (let at = from; at < to; at += 1_000) {
    const rows = Array.from({ length: Math.min(1_000, to - at) }, (_, i) => ({ onType: typeOf(at + i), onId: 1 }));
    await fixture.dataSource.manager.insert(Note, rows);
  }
}

test('20,000 types without a target: the first are reported, with a summary, and nothing else is kept', async () => {
  await writeTypes(0, 20_000, (i) => `type ${i} ${'x'.repeat(100)}`);
  expect(fixture.errors).toHaveLength(21);
  expect((fixture.errors[0] as Error).message).toContain("rows of type 'type 0 xxx");
  expect((fixture.errors[20] as Error).message).toContain('20 errors of the group');
  await writeTypes(20_000, 21_000, (i) => `type ${i}`);
  expect(fixture.errors).toHaveLength(21);
});

test('a type of 3 MB with line breaks and control characters is one short line', async () => {
  const { length } = fixture.errors;
  const own = await setup({ entities: [Wall, Note] });
  const type = `a\nb\u001b[31m\u2028${'x'.repeat(3_000_000)}`;
  await own.dataSource.manager.insert(Note, { onType: type, onId: 1 });
  await own.dataSource.manager.insert(Note, { onType: type, onId: 1 });
  expect(own.errors).toHaveLength(1);
  const { message } = own.errors[0] as Error;
  expect(message).toContain(String.raw`rows of type 'a\nb\u001b[31m\u2028xxx`);
  expect(message.length).toBeLessThan(500);
  expect(inspect(own.errors[0]).length).toBeLessThan(10_000);
  expect(fixture.errors).toHaveLength(length);
  await own.close();
});
