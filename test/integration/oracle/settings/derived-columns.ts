import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  MoreThan,
  OneToMany,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { none, type Table } from '../tables';
import type { World } from '../world';
import type { Ground, Setting } from './setting';

@Entity()
class Owner {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) basketsCount!: number;
  @Column({ default: 0 }) heavyBasketsCount!: number;
  @Column({ default: 0 }) linesCount!: number;
  @Column({ default: 0 }) heavyTotalSum!: number;
}

/** Its grade and, for one weight, its owner are what a trigger says. */
@Entity()
@CounterCache<Basket, Owner>({ relation: 'owner', column: 'basketsCount' })
@CounterCache<Basket, Owner>({ relation: 'owner', column: 'heavyBasketsCount', where: { grade: 'heavy' } })
class Basket {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) weight!: number;
  @Column({ default: '' }) grade!: string;
  @Column({ type: 'integer', nullable: true }) ownerId!: number | null;
  @ManyToOne(() => Owner, { nullable: true, onDelete: 'SET NULL' })
  @JoinColumn({ name: 'ownerId' })
  owner!: Relation<Owner> | null;
  @Column({ default: 0 }) linesCount!: number;
  @Column({ default: 0 }) totalSum!: number;
  @Column({ default: 0 }) doubledSum!: number;
  @Column({ default: 0 }) mixedSum!: number;
  @Column({ default: 0 }) bigCount!: number;
  @Column({ default: 0 }) largeCount!: number;
  @Column({ default: 0 }) evenCount!: number;
  @OneToMany(() => Line, (line) => line.basket, { cascade: true }) lines!: Relation<Line>[];
}

/** Writers write `quantity`; the database derives the rest from it, by a trigger and by a generated column. */
@Entity()
@CounterCache<Line, Basket>({ relation: 'basket', column: 'linesCount' })
@CounterCache<Line, Basket>({ relation: 'basket', column: 'totalSum', incrementBy: 'total' })
@CounterCache<Line, Basket>({ relation: 'basket', column: 'doubledSum', incrementBy: 'doubled' })
@CounterCache<Line, Basket>({
  relation: 'basket',
  column: 'mixedSum',
  incrementBy: ({ total, doubled }) => total - doubled,
  reads: ['total', 'doubled'],
})
@CounterCache<Line, Basket>({ relation: 'basket', column: 'bigCount', where: { total: MoreThan(90) } })
@CounterCache<Line, Basket>({ relation: 'basket', column: 'largeCount', where: { doubled: MoreThan(18) } })
@CounterCache<Line, Basket>({
  relation: 'basket',
  column: 'evenCount',
  if: ({ parity }) => parity === 'even',
  reads: ['parity'],
})
@CounterCache<Line, Owner>({ relation: 'basket.owner', column: 'linesCount' })
@CounterCache<Line, Owner>({
  relation: 'basket.owner',
  column: 'heavyTotalSum',
  incrementBy: 'total',
  where: { basket: { grade: 'heavy' } },
})
class Line {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) quantity!: number;
  @Column({ default: 0 }) total!: number;
  @Column({ default: '' }) parity!: string;
  @Column({ type: 'integer', nullable: true, insert: false, update: false }) doubled!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column({ type: 'integer', nullable: true }) basketId!: number | null;
  @ManyToOne(() => Basket, (basket) => basket.lines, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'basketId' })
  basket!: Relation<Basket> | null;
}

const name = (random: { below(count: number): number }): unknown => `n${random.below(100)}`;

const owners: Table = { ...none, name: 'owner', entity: Owner, columns: { name } };
const baskets: Table = {
  ...none,
  name: 'basket',
  entity: Basket,
  amount: 'weight',
  parents: [{ relation: 'owner', column: 'ownerId', key: 'ownerId', inverse: null, table: owners }],
};
const lines: Table = {
  ...none,
  name: 'line',
  entity: Line,
  amount: 'quantity',
  isSoft: true,
  parents: [{ relation: 'basket', column: 'basketId', key: 'basketId', inverse: 'lines', table: baskets }],
};

/** Some quantities and weights do more than to be multiplied: they move the row, delete it, or suppress the update. */
const TRIGGERS = `
  CREATE FUNCTION derive_line() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'UPDATE' AND NEW.quantity = 11 THEN RETURN NULL; END IF;
    NEW.total := NEW.quantity * 10;
    NEW.parity := CASE WHEN NEW.quantity % 2 = 0 THEN 'even' ELSE 'odd' END;
    IF NEW.quantity = 13 THEN NEW."basketId" := NULL; END IF;
    IF NEW.quantity = 17 THEN NEW."deletedAt" := now(); END IF;
    RETURN NEW;
  END $$;
  CREATE TRIGGER derive_line BEFORE INSERT OR UPDATE ON line FOR EACH ROW EXECUTE FUNCTION derive_line();
  CREATE FUNCTION derive_basket() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    NEW.grade := CASE WHEN NEW.weight > 9 THEN 'heavy' ELSE 'light' END;
    IF NEW.weight = 13 THEN NEW."ownerId" := NULL; END IF;
    RETURN NEW;
  END $$;
  CREATE TRIGGER derive_basket BEFORE INSERT OR UPDATE ON basket FOR EACH ROW EXECUTE FUNCTION derive_basket()`;

async function derive({ sql, random, note }: Ground): Promise<void> {
  const { rows } = await sql.query<{ version: string }>(`SELECT current_setting('server_version_num') AS version`);
  const isNew = Number(rows[0]?.version) >= 180_000;
  const how = isNew && random.chance(0.5) ? 'VIRTUAL' : 'STORED';
  note(`generated column: ${how}`);
  await sql.query(
    `ALTER TABLE line DROP COLUMN doubled, ADD COLUMN doubled int GENERATED ALWAYS AS (quantity * 2) ${how}`,
  );
  await sql.query(TRIGGERS);
}

const WRITES = {
  'derived: update what others are derived from': async (world: World) => {
    const ids = await world.some(lines, 3);
    await world.manager.update(Line, ids.length > 0 ? ids : [-1], { quantity: world.amount() });
  },
  'derived: save what others are derived from': async (world: World) => {
    const rows = await world.loadSome(lines, 2);
    for (const row of rows) row['quantity'] = world.amount();
    await world.manager.save(rows);
  },
  'derived: save a stale derived column': async (world: World) => {
    const [row] = await world.loadSome(lines, 1);
    if (row !== undefined) await world.manager.save(Object.assign(row, { total: 7, parity: 'even', doubled: 1 }));
  },
  'derived: a quantity that moves, deletes or stays': async (world: World) => {
    const quantity = world.random.pick([11, 13, 17]);
    await world.manager.update(Line, { quantity: MoreThan(world.amount()) }, { quantity });
  },
  'derived: by an SQL function': async (world: World) => {
    const builder = world.manager.createQueryBuilder().update(Line);
    await builder
      .set({ quantity: () => '(quantity + 5) % 20' })
      .where('id % 3 = :n', { n: world.random.below(3) })
      .execute();
  },
  'derived: increment': async (world: World) => {
    await world.manager.increment(Line, { id: MoreThan(await world.id(lines)) }, 'quantity', 1);
  },
  'derived: the row between': async (world: World) => {
    const ids = await world.some(baskets, 2);
    await world.manager.update(Basket, ids.length > 0 ? ids : [-1], { weight: world.random.pick([3, 13, 15]) });
  },
  'derived: a parent with new children': async (world: World) => {
    const basket = await world.create(baskets);
    basket['lines'] = [await world.create(lines), await world.create(lines)];
    await world.manager.save(basket);
  },
};

const HELD = 'FROM line s WHERE s."basketId" = t.id AND s."deletedAt" IS NULL';
const OWNED = 'JOIN basket b ON b.id = s."basketId" WHERE b."ownerId" = t.id AND s."deletedAt" IS NULL';

/** Columns that no statement names: the database derives them from those that it does. */
export const DERIVED_COLUMNS: Setting = {
  name: 'derived-columns',
  entities: [Owner, Basket, Line],
  sources: [baskets, baskets, baskets, lines, lines, lines, lines, lines, lines, lines],
  firstRows: [
    [owners, 4],
    [baskets, 6],
    [lines, 15],
  ],
  truths: {
    owner: {
      basketsCount: 'count(*) FROM basket s WHERE s."ownerId" = t.id',
      heavyBasketsCount: `count(*) FROM basket s WHERE s."ownerId" = t.id AND s.grade = 'heavy'`,
      linesCount: `count(*) FROM line s ${OWNED}`,
      heavyTotalSum: `sum(s.total) FROM line s ${OWNED} AND b.grade = 'heavy'`,
    },
    basket: {
      linesCount: `count(*) ${HELD}`,
      totalSum: `sum(s.total) ${HELD}`,
      doubledSum: `sum(s.doubled) ${HELD}`,
      mixedSum: `sum(s.total - s.doubled) ${HELD}`,
      bigCount: `count(*) ${HELD} AND s.total > 90`,
      largeCount: `count(*) ${HELD} AND s.doubled > 18`,
      evenCount: `count(*) ${HELD} AND s.parity = 'even'`,
    },
  },
  arrange: derive,
  open: async () => ({ writes: WRITES }),
};
