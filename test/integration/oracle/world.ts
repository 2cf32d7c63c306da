import type { DeepPartial, EntityManager, FindOptionsRelations } from 'typeorm';

import type { Line } from './journal';
import type { Random } from './random';
import { type Choices, comments, posts, type Parent, type Row, SOURCES, type Table, type Values } from './tables';

/** No row has it. */
export const ABSENT = -1;

/** Keys that callers choose: far above what a sequence gives. */
export class ChosenKeys {
  readonly #first = 1_000_000;
  #next = this.#first + 1;

  /** The first of so many new ones; a single one may have been chosen before, and its row be there, or gone. */
  choose(random: Random, count = 1): number {
    const known = this.#next - this.#first;
    if (count === 1 && known > 40 && random.chance(0.1)) return this.#first + random.below(known);
    this.#next += count;
    return this.#next - count;
  }
}

/** What one write has at hand: a manager, choices, and a place for what it did. */
export class World implements Choices {
  constructor(
    readonly manager: EntityManager,
    readonly random: Random,
    readonly keys: ChosenKeys,
    readonly line: Line,
    /** Tables whose rows feed counters; those named more than once come up more often. */
    readonly sources: readonly Table[] = SOURCES,
  ) {}

  /** The same with another manager. */
  within(manager: EntityManager): World {
    return new World(manager, this.random, this.keys, this.line, this.sources);
  }

  note(...details: unknown[]): void {
    this.line.note(details);
  }

  /** A table whose rows feed counters. */
  source(suits: (table: Table) => boolean = () => true): Table {
    const table = this.random.pick(this.sources.filter(suits));
    this.note(table.name);
    return table;
  }

  /** Keys of all rows, soft-deleted ones too. */
  async ids(table: Table, where = 'TRUE'): Promise<number[]> {
    const rows: { id: number }[] = await this.manager.query(
      `SELECT id FROM "${table.name}" WHERE ${where} ORDER BY id`,
    );
    return rows.map(({ id }) => id);
  }

  async id(table: Table): Promise<number> {
    const [id = ABSENT] = await this.some(table, 1);
    return id;
  }

  async some(table: Table, count: number, where?: string): Promise<number[]> {
    const ids = this.random.sample(await this.ids(table, where), count);
    this.note(table.name, ids);
    return ids;
  }

  /** Keys of parents that rows of a table have. */
  async parents(table: Table, { key }: Pick<Parent, 'key'>, count: number): Promise<number[]> {
    const rows: { id: number }[] = await this.manager.query(
      `SELECT DISTINCT "${key}" AS id FROM "${table.name}" WHERE "${key}" IS NOT NULL ORDER BY 1`,
    );
    const ids = this.random.sample(rows, count).map(({ id }) => id);
    this.note(key, ids);
    return ids;
  }

  /** Values of the unique property that rows have. */
  async taken(table: Table): Promise<string[]> {
    const rows: { value: string }[] = await this.manager.query(
      `SELECT "${table.unique}" AS value FROM "${table.name}" WHERE "${table.unique}" IS NOT NULL ORDER BY 1`,
    );
    return rows.map(({ value }) => value);
  }

  /** A value of a unique property; few, so that they meet. */
  unique(): string {
    return `u${this.random.below(40)}`;
  }

  /** Rows as TypeORM loads them, in the order of their keys. */
  async load(table: Table, ids: readonly number[], relations: FindOptionsRelations<Row> = {}): Promise<Row[]> {
    const query = { where: ids.map((id) => ({ id })), relations, withDeleted: true, order: { id: 'ASC' } as const };
    return ids.length === 0 ? [] : this.manager.find(table.entity, query);
  }

  /** Some random rows, loaded. */
  async loadSome(table: Table, count: number, relations: FindOptionsRelations<Row> = {}): Promise<Row[]> {
    return this.load(table, await this.some(table, count), relations);
  }

  amount(): number {
    return this.random.below(20);
  }

  chooseKey(count = 1): number {
    return this.keys.choose(this.random, count);
  }

  async maybe(table: Table): Promise<number | null> {
    const [id] = this.random.chance(0.2) ? [] : await this.some(table, 1);
    return id ?? null;
  }

  /** Sets a relation, in one of the ways TypeORM knows. */
  async reference({ relation, column, table }: Parent): Promise<Values> {
    const id = await this.maybe(table);
    if (column !== null && this.random.chance(0.5)) return { [column]: id };
    return { [relation]: id === null ? null : { id } };
  }

  /** Values of a new row. */
  async fresh(table: Table): Promise<Values> {
    const values: Values = table.amount === null ? {} : { [table.amount]: this.amount() };
    for (const [property, value] of Object.entries(table.columns)) values[property] = value(this.random);
    for (const parent of table.parents) Object.assign(values, await this.reference(parent));
    if (table.isKeyed) values['id'] = this.chooseKey();
    if (table.name === 'like') Object.assign(values, await this.likeable());
    if (table.links !== null) Object.assign(values, await table.links.choose(this));
    if (table.unique !== null && this.random.chance(0.1)) values[table.unique] = this.unique();
    this.note(values);
    return values;
  }

  /** A new row, not saved. */
  async create(table: Table): Promise<Row> {
    return this.manager.create(table.entity, (await this.fresh(table)) as DeepPartial<Row>);
  }

  async freshRows(table: Table, count: number): Promise<Values[]> {
    const rows: Values[] = [];
    for (let i = 0; i < count; i++) rows.push(await this.fresh(table));
    return rows;
  }

  /** A change of one to three properties of a row. */
  async patch(table: Table): Promise<Values> {
    const changes: (() => Promise<Values>)[] = [
      ...table.parents.map((parent) => () => this.reference(parent)),
      ...Object.entries(table.columns).map(([name, value]) => async () => ({ [name]: value(this.random) })),
    ];
    const { amount } = table;
    if (amount !== null) changes.push(async () => ({ [amount]: this.amount() }));
    if (table.name === 'like') changes.push(() => this.likeable());
    const { links } = table;
    if (links !== null) changes.push(() => links.choose(this));
    const values: Values = {};
    for (const change of this.random.sample(changes, 1 + this.random.below(3))) Object.assign(values, await change());
    this.note(values);
    return values;
  }

  /** Type and key of what a like is for: with unknown rows, ignored types and NULL among them. */
  async likeable(): Promise<Values> {
    const likeableType = this.random.pick(['post', 'post', 'comment', 'comment', 'page', null]);
    return { likeableType, likeableId: await this.maybe(likeableType === 'comment' ? comments : posts) };
  }
}
