import {
  Column,
  Entity,
  type EntityManager,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Kinds } from '../kinds/kind';
import type { Random } from '../random';
import type { WrongColumn } from '../truth';
import type { World } from '../world';
import type { Place, Setting, Surroundings } from './setting';

@Entity()
class Customer {
  @PrimaryColumn('uuid') id!: string;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) billsCount!: number;
  @Column({ default: 0 }) itemsCount!: number;
  @OneToMany(() => Bill, (bill) => bill.customer, { cascade: true }) bills!: Relation<Bill>[];
}

@Entity()
@CounterCache<Bill, Customer>({ relation: 'customer', column: 'billsCount' })
class Bill {
  @PrimaryColumn('uuid') id!: string;
  @Column({ type: 'uuid', nullable: true }) customerId!: string | null;
  @ManyToOne(() => Customer, (customer) => customer.bills, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'customerId' })
  customer!: Relation<Customer> | null;
  @Column({ default: 0 }) itemsCount!: number;
  @Column({ default: 0 }) amountSum!: number;
  @OneToMany(() => Item, (item) => item.bill, { cascade: true }) items!: Relation<Item>[];
}

/** Its foreign key is looked at by COMMIT: an item may be inserted before its bill, and never stays without. */
@Entity()
@CounterCache<Item, Bill>({ relation: 'bill', column: 'itemsCount' })
@CounterCache<Item, Bill>({ relation: 'bill', column: 'amountSum', incrementBy: 'amount' })
@CounterCache<Item, Customer>({ relation: 'bill.customer', column: 'itemsCount' })
class Item {
  @PrimaryColumn('uuid') id!: string;
  @Column({ default: 0 }) amount!: number;
  @Column({ type: 'uuid', nullable: true }) billId!: string | null;
  @ManyToOne(() => Bill, (bill) => bill.items, {
    nullable: true,
    onDelete: 'CASCADE',
    deferrable: 'INITIALLY DEFERRED',
  })
  @JoinColumn({ name: 'billId' })
  bill!: Relation<Bill> | null;
}

function uuid(random: Random): string {
  const hex = Array.from({ length: 32 }, () => random.below(16).toString(16)).join('');
  return [8, 12, 16, 20].reduceRight((text, at) => `${text.slice(0, at)}-${text.slice(at)}`, hex);
}

/** Plain objects, as a client makes them. */
interface NewItem {
  readonly id: string;
  readonly amount: number;
}
interface NewBill {
  readonly id: string;
  readonly items: NewItem[];
}

const item = ({ random }: World): NewItem => ({ id: uuid(random), amount: random.below(20) });
const bill = (world: World, count = 1 + world.random.below(3)): NewBill => ({
  id: uuid(world.random),
  items: Array.from({ length: count }, () => item(world)),
});

async function ids(world: World, table: 'bill' | 'customer' | 'item', count: number): Promise<string[]> {
  const rows: { id: string }[] = await world.manager.query(`SELECT id FROM ${table} ORDER BY id`);
  const chosen = world.random.sample(rows, count).map(({ id }) => id);
  world.note(table, chosen);
  return chosen;
}

/** Keys that had a row before: what waits for the old one must not be counted for the new one, so it is recounted. */
type Reborn = Set<string>;

async function insertAgain(world: World, reborn: Reborn, manager: EntityManager, id: string): Promise<void> {
  reborn.add(id);
  await manager.delete(Bill, { id });
  await manager.save(Bill, { ...bill(world), id });
}

function writesOf(reborn: Reborn): Kinds {
  return {
    'chosen keys: a parent with its children': async (world) => {
      const row = bill(world);
      world.note(row);
      await world.manager.save(world.manager.create(Bill, row));
    },
    'chosen keys: three generations': async (world) => {
      const row = { id: uuid(world.random), name: 'c', bills: [bill(world), bill(world, 0)] };
      world.note(row);
      await world.manager.save(world.manager.create(Customer, row));
    },
    'chosen keys: several parents, plain objects': async (world) => {
      await world.manager.save(Bill, [bill(world), bill(world), bill(world, 0)]);
    },
    'chosen keys: a parent, then its children': async (world) => {
      const id = uuid(world.random);
      world.note(id);
      await world.manager.insert(Bill, { id });
      await world.manager.insert(
        Item,
        [1, 2].map(() => ({ ...item(world), billId: id })),
      );
    },
    'chosen keys: children before their parent, in one transaction': async (world) => {
      const id = uuid(world.random);
      world.note(id);
      await world.manager.transaction(async (manager) => {
        await manager.insert(
          Item,
          [1, 2].map(() => ({ ...item(world), billId: id })),
        );
        await manager.insert(Bill, { id });
      });
    },
    'chosen keys: a parent in a savepoint that is taken back, and again': async (world) => {
      const row = bill(world);
      world.note(row);
      await world.manager.transaction(async (manager) => {
        const taken = manager.transaction(async (inner) => {
          await inner.save(Bill, structuredClone(row));
          throw new TakenBack();
        });
        await taken.catch((error: unknown) => {
          if (!(error instanceof TakenBack)) throw error;
        });
        await manager.save(Bill, structuredClone(row));
      });
    },
    'chosen keys: upsert parents, and give them children': async (world) => {
      const [customerId] = await ids(world, 'customer', 1);
      const rows = [uuid(world.random), ...(await ids(world, 'bill', 1))];
      await world.manager.upsert(
        Bill,
        rows.map((id) => ({ id, customerId: customerId ?? null })),
        ['id'],
      );
      await world.manager.insert(
        Item,
        rows.map((billId) => ({ ...item(world), billId })),
      );
    },
    'chosen keys: more children': async (world) => {
      for (const billId of await ids(world, 'bill', 2)) await world.manager.insert(Item, { ...item(world), billId });
    },
    'chosen keys: move children': async (world) => {
      const [to] = await ids(world, 'bill', 1);
      for (const id of await ids(world, 'item', 2)) await world.manager.update(Item, { id }, { billId: to ?? null });
    },
    'chosen keys: delete a parent': async (world) => {
      for (const id of await ids(world, 'bill', 1)) await world.manager.delete(Bill, { id });
    },
    'chosen keys: delete and insert again': async (world) => {
      for (const id of await ids(world, 'bill', 1)) await insertAgain(world, reborn, world.manager, id);
    },
    'chosen keys: delete and insert again in one transaction': async (world) => {
      for (const id of await ids(world, 'bill', 1))
        await world.manager.transaction((manager) => insertAgain(world, reborn, manager, id));
    },
  };
}

class TakenBack extends Error {}

/** A transaction of another program that has written, and does not end. */
class Bystander {
  readonly #place: Place;
  isOpen = false;

  constructor(place: Place) {
    this.#place = place;
  }

  async begin(): Promise<void> {
    if (this.isOpen || this.#place.random.chance(0.4)) return;
    await this.#place.sql.query('BEGIN; SELECT pg_current_xact_id()');
    this.isOpen = true;
    this.#place.journal.add('(another transaction has written, and stays open)');
  }

  async end(): Promise<void> {
    if (this.isOpen) await this.#place.sql.query('COMMIT');
    this.isOpen = false;
  }
}

/** Of columns that need no path: counted with their parents, whatever other transactions are open. */
function mustBeRight({ target, key, column }: WrongColumn, reborn: Reborn): boolean {
  return (target === 'bill' || (target === 'customer' && column === 'billsCount')) && !reborn.has(String(key));
}

const LAST_BILLS = `SELECT b.id::text, (SELECT count(*) FROM item i WHERE i."billId" = b.id)::int AS truth
  FROM bill b ORDER BY b.ctid DESC LIMIT 3`;

/** What `counters.read` says of the last bills is what their columns will hold. */
async function wrongReads({ fixture, sql }: Place, reborn: Reborn): Promise<string[]> {
  const { rows } = await sql.query<{ readonly id: string; readonly truth: number }>(LAST_BILLS);
  const wrong: string[] = [];
  for (const { id, truth } of rows) {
    const read = await fixture.counters.read(Bill, id, 'itemsCount');
    if (read !== truth && !reborn.has(id)) wrong.push(`read of bill ${id}: ${read} instead of ${truth}`);
  }
  return wrong;
}

async function open(place: Place): Promise<Partial<Surroundings>> {
  const reborn: Reborn = new Set();
  const bystander = new Bystander(place);
  return {
    writes: writesOf(reborn),
    beforeOperation: () => bystander.begin(),
    async onApplied(findWrong) {
      const wrong = (await findWrong())
        .filter((column) => mustBeRight(column, reborn))
        .map((one) => JSON.stringify(one));
      wrong.push(...(await wrongReads(place, reborn)));
      if (wrong.length > 0)
        throw new Error(
          [`not counted${bystander.isOpen ? ' while another transaction is open' : ' at once'}:`, ...wrong].join(
            '\n  ',
          ),
        );
      await bystander.end();
    },
    close: () => bystander.end(),
  };
}

const COUNTED = 'FROM item s WHERE s."billId" = t.id';

/** Keys are made by the client: parents and children come into being together, beside transactions that stay open. */
export const CHOSEN_KEYS: Setting = {
  name: 'chosen-keys',
  entities: [Customer, Bill, Item],
  // A foreign key that COMMIT finds broken.
  refusals: ['23503'],
  truths: {
    customer: {
      billsCount: 'count(*) FROM bill s WHERE s."customerId" = t.id',
      itemsCount: 'count(*) FROM item s JOIN bill b ON b.id = s."billId" WHERE b."customerId" = t.id',
    },
    bill: { itemsCount: `count(*) ${COUNTED}`, amountSum: `sum(s.amount) ${COUNTED}` },
  },
  open,
};
