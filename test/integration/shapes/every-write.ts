import type { EntityTarget, ObjectLiteral } from 'typeorm';

import type { Fixture } from '../../support/setup';
import { expectMended, expectRight, type Truth } from './truth';

/** One shape of source, and how to write its rows. */
export interface Writes<Target> {
  readonly source: EntityTarget<ObjectLiteral>;
  readonly targets: readonly [Target, Target];
  /** What makes a row belong to a target, or to none. */
  readonly values: (target: Target | null, row: number) => object;
  /** The same for updates by criteria, which take other values than entities where relations are lazy. */
  readonly set?: (target: Target | null) => object;
  readonly truths: readonly Truth[];
}

/**
 * Writes rows of a source in every way (saved, inserted, moved, updated by criteria, soft-deleted and restored where it
 * has a delete date, rolled back, deleted, removed), and expects exact columns after each group of them, and recounts to
 * agree.
 */
export async function expectEveryWrite<Target>(fixture: Fixture, writes: Writes<Target>): Promise<void> {
  const rows = new Rows(fixture, writes);
  const right = (): Promise<void> => expectRight(fixture, writes.truths);
  const [one, two] = writes.targets;

  const [first, ...others] = await rows.save([one, one, one, two, null]);
  if (first === undefined) throw new Error('nothing was saved');
  await rows.insert([one, two, two]);
  await rows.move(first, two);
  await rows.move(first, null);
  await rows.moveAll(others, [two, null, one, one]);
  await right();
  await rows.update(first, one);
  await rows.updateAll(others, two);
  await rows.updateAll(others, null);
  await rows.updateAll(others, one);
  await right();
  if (rows.hasDeleteDate) await expectSoftDeletes(rows, [first, ...others], right);
  await rows.roll(first, two);
  await expectMended(fixture, writes.truths);
  await rows.delete(first);
  await rows.remove(others);
  await right();
}

async function expectSoftDeletes<Target>(
  rows: Rows<Target>,
  entities: readonly ObjectLiteral[],
  right: () => Promise<void>,
): Promise<void> {
  await rows.softDelete(entities);
  await right();
  await rows.restore(entities);
  await right();
}

async function expectRejection(work: Promise<unknown>, failure: Error): Promise<void> {
  await expect(work).rejects.toBe(failure);
}

/** Writes of rows of one source. */
class Rows<Target> {
  readonly #fixture: Fixture;
  readonly #writes: Writes<Target>;
  #made = 0;

  constructor(fixture: Fixture, writes: Writes<Target>) {
    this.#fixture = fixture;
    this.#writes = writes;
  }

  get hasDeleteDate(): boolean {
    return this.#metadata.deleteDateColumn !== undefined;
  }

  /** The first alone, the others together. */
  async save(targets: readonly (Target | null)[]): Promise<ObjectLiteral[]> {
    const [first = {}, ...others] = targets.map((target) =>
      Object.assign(this.#manager.create(this.#source, {}), this.#values(target)),
    );
    return [await this.#manager.save(this.#source, first), ...(await this.#manager.save(this.#source, others))];
  }

  async insert(targets: readonly (Target | null)[]): Promise<void> {
    const { set } = this.#writes;
    await this.#manager.insert(
      this.#source,
      targets.map((target) => ({ ...this.#values(target), ...set?.(target) })),
    );
  }

  /** Saves a changed entity, as it was read. */
  async move(entity: ObjectLiteral, target: Target | null): Promise<void> {
    await this.moveAll([entity], [target]);
  }

  async moveAll(entities: readonly ObjectLiteral[], targets: readonly (Target | null)[]): Promise<void> {
    const read = await Promise.all(
      entities.map((entity) => this.#manager.findOneByOrFail(this.#source, this.#keyOf(entity))),
    );
    await this.#manager.save(
      this.#source,
      read.map((entity, i) => Object.assign(entity, this.#values(targets[i] ?? null))),
    );
  }

  async update(entity: ObjectLiteral, target: Target | null): Promise<void> {
    await this.#manager.update(this.#source, this.#keyOf(entity), this.#set(target));
  }

  async updateAll(entities: readonly ObjectLiteral[], target: Target | null): Promise<void> {
    await this.#manager
      .createQueryBuilder()
      .update(this.#source)
      .set(this.#set(target))
      .where(entities.map((entity) => this.#keyOf(entity)))
      .execute();
  }

  /** Moves and deletes a row, all rolled back; then moves it, with only a deletion rolled back. */
  async roll(entity: ObjectLiteral, target: Target | null): Promise<void> {
    const failure = new Error('rolled back');
    const move = this.#fixture.dataSource.transaction(async (manager) => {
      await manager.update(this.#source, this.#keyOf(entity), this.#set(target));
      await manager.delete(this.#source, this.#keyOf(entity));
      throw failure;
    });
    await expectRejection(move, failure);
    await this.#fixture.dataSource.transaction(async (manager) => {
      await manager.update(this.#source, this.#keyOf(entity), this.#set(target));
      const inner = manager.transaction(async (nested) => {
        await nested.delete(this.#source, this.#keyOf(entity));
        throw failure;
      });
      await expectRejection(inner, failure);
    });
  }

  /** One by criteria, the others as entities. */
  async softDelete([first = {}, ...others]: readonly ObjectLiteral[]): Promise<void> {
    await this.#manager.softDelete(this.#source, this.#keyOf(first));
    await this.#manager.softRemove(this.#source, others);
  }

  async restore([first = {}, ...others]: readonly ObjectLiteral[]): Promise<void> {
    await this.#manager.restore(this.#source, this.#keyOf(first));
    await this.#manager.recover(this.#source, others);
  }

  async delete(entity: ObjectLiteral): Promise<void> {
    await this.#manager.delete(this.#source, this.#keyOf(entity));
  }

  async remove(entities: readonly ObjectLiteral[]): Promise<void> {
    await this.#manager.remove(this.#source, [...entities]);
  }

  get #source(): EntityTarget<ObjectLiteral> {
    return this.#writes.source;
  }

  get #manager(): Fixture['dataSource']['manager'] {
    return this.#fixture.dataSource.manager;
  }

  get #metadata(): ReturnType<Fixture['dataSource']['getMetadata']> {
    return this.#fixture.dataSource.getMetadata(this.#source);
  }

  #values(target: Target | null): ObjectLiteral {
    return this.#writes.values(target, this.#made++);
  }

  #set(target: Target | null): ObjectLiteral {
    const { set, values } = this.#writes;
    return set === undefined ? values(target, this.#made++) : set(target);
  }

  #keyOf(entity: ObjectLiteral): ObjectLiteral {
    return this.#metadata.getEntityIdMap(entity) ?? {};
  }
}
