import { randomUUID } from 'node:crypto';

import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';

@Entity()
class Ticket {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column({ default: 0 }) notesCount!: number;
}

@Entity()
class Account {
  @PrimaryColumn('uuid') id!: string;
  @Column({ default: 0 }) notesCount!: number;
}

@Entity()
class Ledger {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' }) id!: string;
  @Column({ default: 0 }) notesCount!: number;
}

/** Reached by a unique column that is not its primary key. */
@Entity()
class Product {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'text', unique: true }) code!: string;
  @Column({ default: 0 }) notesCount!: number;
}

@Entity()
class Country {
  @PrimaryColumn({ type: 'char', length: 3 }) code!: string;
  @Column({ default: 0 }) notesCount!: number;
}

@Entity()
class Level {
  @PrimaryColumn({ type: 'enum', enum: ['low', "it's high"], enumName: 'level_name' }) name!: string;
  @Column({ default: 0 }) notesCount!: number;
}

@Entity()
@CounterCache<Note, Ticket>({ relation: 'ticket', column: 'notesCount' })
@CounterCache<Note, Account>({ relation: 'account', column: 'notesCount' })
@CounterCache<Note, Ledger>({ relation: 'ledger', column: 'notesCount' })
@CounterCache<Note, Product>({ relation: 'product', column: 'notesCount' })
@CounterCache<Note, Country>({ relation: 'country', column: 'notesCount' })
@CounterCache<Note, Level>({ relation: 'level', column: 'notesCount' })
class Note {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @ManyToOne(() => Ticket) ticket!: Relation<Ticket> | null;
  @ManyToOne(() => Account) account!: Relation<Account> | null;
  @ManyToOne(() => Ledger) ledger!: Relation<Ledger> | null;
  @ManyToOne(() => Product) @JoinColumn({ referencedColumnName: 'code' }) product!: Relation<Product> | null;
  @ManyToOne(() => Country) country!: Relation<Country> | null;
  @ManyToOne(() => Level)
  @JoinColumn({ name: 'levelName', referencedColumnName: 'name' })
  level!: Relation<Level> | null;
}

const truth = (table: string, foreignKey: string, key: string): Truth => ({
  table,
  columns: { '"notesCount"': `(SELECT count(*) FROM note n WHERE n."${foreignKey}" = t.${key})` },
});
const TRUTHS = {
  ticket: truth('ticket', 'ticketId', 'id'),
  account: truth('account', 'accountId', 'id'),
  ledger: truth('ledger', 'ledgerId', 'id'),
  product: truth('product', 'productCode', 'code'),
  country: truth('country', 'countryCode', 'code'),
  level: truth('level', 'levelName', 'name'),
};

const HOSTILE = [
  `'; DROP TABLE note; --`, '":code"', '$1', '?', '%s', 'a\\b', 'a\u2028b', 'é', 'e\u0301', '\u{1F468}\u200D\u{1F469}', ' ', '{}',
]; // prettier-ignore

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Ticket, Account, Ledger, Product, Country, Level, Note] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('types of keys, PostgreSQL %s', (version) => {
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;

  beforeAll(() => answerAs(fixture, version));
  beforeEach(() => clear(fixture, [Note, Ticket, Account, Ledger, Product, Country, Level]));
  afterEach(() => expectAgreed(fixture));

  test.each([
    ['uuids that the database makes', Ticket, [{}, {}], 'ticket'],
    ['uuids that the caller chooses', Account, [{ id: randomUUID() }, { id: randomUUID() }], 'account'],
    ['identities of type bigint', Ledger, [{}, {}], 'ledger'],
    ['a column that is not the primary key', Product, [{ code: `a:'b'` }, { code: 'a:b' }], 'product'],
    ['padded characters', Country, [{ code: 'D' }, { code: 'CH' }], 'country'],
    ['a value of an enum', Level, [{ name: 'low' }, { name: "it's high" }], 'level'],
  ] as const)('%s', async (_, entity, keys, relation) => {
    const [one = {}, two = {}] = await manager().save(entity, [...keys] as object[]);
    await expectEveryWrite<object>(fixture, {
      source: Note,
      targets: [one, two],
      values: (target) => ({ [relation]: target }),
      truths: [TRUTHS[relation]],
    });
  });

  test('texts, whatever they hold, through every counter at once', async () => {
    const products = await manager().save(
      Product,
      HOSTILE.map((code) => ({ code })),
    );
    const account = await manager().save(Account, { id: randomUUID().toUpperCase() });
    const notes = await manager().save(
      Note,
      products.map((product) => ({ product, account })),
    );
    await expectRight(fixture, [TRUTHS.product, TRUTHS.account]);
    await manager().update(Note, { product: { code: ':code' } }, { product: { code: '$1' } });
    for (const [i, note] of notes.entries())
      await manager().save(Note, Object.assign(note, { product: products[i >> 1] }));
    await expectRight(fixture, [TRUTHS.product, TRUTHS.account]);
    expect(await fixture.counters.read(Product, HOSTILE[0] ?? '', 'notesCount')).toBe(2);
    await manager().remove(Note, notes.slice(5));
    await expectRight(fixture, [TRUTHS.product, TRUTHS.account]);
  });
});
