import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Random } from '../random';
import { authors, categories, type Choices, nodes, none, posts, type Table, type Values } from '../tables';
import { ABSENT, type World } from '../world';
import type { Ground, Setting } from './setting';

@Entity()
class Office {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) accountsCount!: number;
  @Column({ default: 0 }) entriesCount!: number;
}

/** A key of two columns, one of which refers to the office. */
@Entity()
@CounterCache<Account, Office>({ relation: 'office', column: 'accountsCount' })
class Account {
  @PrimaryColumn() officeId!: number;
  @PrimaryColumn() id!: number;
  @ManyToOne(() => Office, { onDelete: 'CASCADE' }) @JoinColumn({ name: 'officeId' }) office!: Relation<Office>;
  @Column({ default: 0 }) entriesCount!: number;
  @Column({ default: 0 }) amountSum!: number;
}

/** Two relations share a column: what the database sets to NULL in one is, or is not, set in the other. */
@Entity()
@CounterCache<Entry, Account>({ relation: 'account', column: 'entriesCount' })
@CounterCache<Entry, Account>({ relation: 'account', column: 'amountSum', incrementBy: 'amount' })
@CounterCache<Entry, Office>({ relation: 'office', column: 'entriesCount' })
class Entry {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) amount!: number;
  @Column({ type: 'integer', nullable: true }) officeId!: number | null;
  @Column({ type: 'integer', nullable: true }) accountId!: number | null;
  @ManyToOne(() => Office, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'officeId' })
  office!: Relation<Office> | null;
  @ManyToOne(() => Account, { nullable: true, onDelete: 'SET NULL' })
  @JoinColumn([
    { name: 'officeId', referencedColumnName: 'officeId' },
    { name: 'accountId', referencedColumnName: 'id' },
  ])
  account!: Relation<Account> | null;
}

const name = (random: Random): unknown => `n${random.below(100)}`;

const offices: Table = { ...none, name: 'office', entity: Office, columns: { name } };
const accounts: Table = {
  ...none,
  name: 'account',
  entity: Account,
  isKeyed: true,
  links: {
    columns: ['officeId'],
    choose: async (choices) => ({ officeId: (await choices.some(offices, 1))[0] ?? ABSENT }),
  },
};

/** Either key may be NULL; then there is no account. */
async function keysOfAccount(choices: Choices): Promise<Values> {
  const [officeId = null] = choices.random.chance(0.1) ? [] : await choices.some(offices, 1);
  if (officeId === null || choices.random.chance(0.2)) return { officeId, accountId: null };
  const [accountId = null] = await choices.some(accounts, 1, `"officeId" = ${officeId}`);
  return { officeId, accountId };
}

const entries: Table = {
  ...none,
  name: 'entry',
  entity: Entry,
  amount: 'amount',
  links: { columns: ['officeId', 'accountId'], choose: keysOfAccount },
};

/** What a foreign key may do when its row goes; `null`: there is no such constraint. */
const ACTIONS = ['CASCADE', 'CASCADE', 'SET NULL', 'SET NULL', 'SET DEFAULT', 'NO ACTION', null, null] as const;

interface ForeignKey {
  readonly table: string;
  readonly name: string;
  readonly definition: string;
  readonly columns: readonly string[];
  /** Whether none of its columns takes a NULL. */
  readonly strict: boolean;
}

const FOREIGN_KEYS = `
  SELECT c.conrelid::regclass::text AS table, quote_ident(c.conname) AS name, pg_get_constraintdef(c.oid) AS definition,
    array_agg(quote_ident(a.attname) ORDER BY k.n) AS columns, bool_or(a.attnotnull) AS strict
  FROM pg_constraint c CROSS JOIN LATERAL unnest(c.conkey) WITH ORDINALITY AS k(attnum, n)
  JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
  WHERE c.contype = 'f' GROUP BY c.oid ORDER BY 1, array_agg(a.attname::text ORDER BY k.n)`;

/** Makes foreign keys that do otherwise than the entities say. */
async function drift({ sql, random, note }: Ground): Promise<void> {
  const { rows } = await sql.query<ForeignKey>(FOREIGN_KEYS);
  for (const key of rows) {
    const action = chooseAction(key, random);
    const [reference] = key.definition.split(' ON DELETE ');
    note(`${key.table} ${reference}: ${action ?? 'no constraint'}`);
    await sql.query(`ALTER TABLE ${key.table} DROP CONSTRAINT ${key.name}`);
    if (action !== null)
      await sql.query(`ALTER TABLE ${key.table} ADD CONSTRAINT ${key.name} ${reference} ON DELETE ${action}`);
  }
}

function chooseAction({ columns, strict }: ForeignKey, random: Random): string | null {
  const last = columns.at(-1) ?? '';
  if (columns.length > 1 && random.chance(0.6)) return `${random.pick(['SET NULL', 'SET DEFAULT'])} (${last})`;
  const action = random.pick(ACTIONS);
  return strict && (action === 'SET NULL' || action === 'SET DEFAULT') ? 'CASCADE' : action;
}

/** Accounts are named by both of their keys. */
async function someAccounts(world: World, count: number, where?: string): Promise<Account[]> {
  const ids = await world.some(accounts, count, where);
  if (ids.length === 0) return [];
  return world.manager.find(Account, { where: ids.map((id) => ({ id })), order: { id: 'ASC' } });
}

const REFERRED_TO = 'EXISTS (SELECT FROM entry e WHERE e."accountId" = account.id)';

const WRITES = {
  'drift: new accounts': async (world: World) => {
    await world.manager.insert(Account, await world.freshRows(accounts, 2));
  },
  'drift: entries of an account': async (world: World) => {
    await world.manager.insert(Entry, await world.freshRows(entries, 4));
  },
  'drift: delete an account': async (world: World) => {
    for (const { officeId, id } of await someAccounts(world, 1, REFERRED_TO))
      await world.manager.delete(Account, { officeId, id });
  },
  'drift: delete accounts by query builder': async (world: World) => {
    const builder = world.manager.createQueryBuilder().delete().from(Account);
    await builder.where('id % 4 = :rest', { rest: world.random.below(4) }).execute();
  },
  'drift: remove accounts': async (world: World) => {
    await world.manager.remove(await someAccounts(world, 2, REFERRED_TO));
  },
  'drift: an entry with its account set to NULL': async (world: World) => {
    const [entry] = await world.load(entries, await world.some(entries, 1, '"accountId" IS NOT NULL'), {
      account: true,
    });
    // Without the office: if another client has moved the entry, TypeORM would set the shared column twice (42601).
    const cleared = { officeId: undefined, accountId: null, account: null };
    if (entry !== undefined) await world.manager.save(Object.assign(entry, cleared));
  },
  'drift: delete an office': async (world: World) => {
    const [id] = await world.some(offices, 1, 'EXISTS (SELECT FROM entry e WHERE e."officeId" = office.id)');
    await world.manager.insert(Office, { name: 'instead' });
    await world.manager.delete(Office, { id: id ?? ABSENT });
  },
  'drift: a parent goes that others refer to': async (world: World) => {
    const table = world.random.pick([authors, categories, posts, nodes]);
    const { key, source } = REFERENCES[table.name] ?? { key: 'authorId', source: 'post' };
    const ids = await world.some(table, 1, `EXISTS (SELECT FROM "${source}" s WHERE s."${key}" = "${table.name}".id)`);
    await world.manager.delete(table.entity, ids.length > 0 ? ids : [ABSENT]);
    await world.manager.insert(table.entity, await world.freshRows(table, 1));
  },
};

const REFERENCES: Readonly<Record<string, { readonly key: string; readonly source: string }>> = {
  author: { key: 'authorId', source: 'post' },
  category: { key: 'categoryId', source: 'post' },
  post: { key: 'postId', source: 'comment' },
  node: { key: 'parentId', source: 'node' },
};

const ACCOUNTED = 'FROM entry s WHERE s."officeId" = t."officeId" AND s."accountId" = t.id';

/** The database does otherwise than the entities say when a row goes that others refer to. */
export const CATALOGUE_DRIFT: Setting = {
  name: 'catalogue-drift',
  entities: [Office, Account, Entry],
  sources: [entries, entries, entries, entries, entries],
  firstRows: [
    [offices, 4],
    [accounts, 8],
    [entries, 14],
  ],
  // A SET NULL of a column that takes none.
  refusals: ['23502'],
  // The library sorts the columns of a key.
  keys: { account: `t.id || ',' || t."officeId"` },
  truths: {
    office: {
      accountsCount: 'count(*) FROM account s WHERE s."officeId" = t.id',
      entriesCount: 'count(*) FROM entry s WHERE s."officeId" = t.id',
    },
    account: { entriesCount: `count(*) ${ACCOUNTED}`, amountSum: `sum(s.amount) ${ACCOUNTED}` },
  },
  arrange: drift,
  open: async () => ({ writes: WRITES }),
};
