import { Column, DeleteDateColumn, Entity, ManyToOne, OneToMany, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { expectEveryWrite } from './every-write';
import { answerAs, clear, expectAgreed, expectRight, setupShape, type Truth, VERSIONS } from './truth';

/** Every row is a source and a target; its own subtree goes with it. */
@Entity()
@CounterCache<Folder, Folder>({ relation: 'parent', column: 'childrenCount' })
@CounterCache<Folder, Folder>({ relation: 'parent', column: 'sizeSum', incrementBy: 'size' })
class Folder {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 1 }) size!: number;
  @Column({ default: 0 }) childrenCount!: number;
  @Column({ default: 0 }) sizeSum!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Folder, (folder) => folder.children, { onDelete: 'CASCADE' }) parent!: Relation<Folder> | null;
  @OneToMany(() => Folder, (folder) => folder.parent, { cascade: ['insert', 'update', 'soft-remove', 'recover'] })
  children!: Folder[];
}

/** A child stays when its parent goes, and does not count itself. */
@Entity()
@CounterCache<Employee, Employee>({ relation: 'manager', column: 'reportsCount' })
class Employee {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) reportsCount!: number;
  @ManyToOne(() => Employee, { onDelete: 'SET NULL' }) manager!: Relation<Employee> | null;
}

const FOLDERS: Truth = {
  table: 'folder',
  columns: {
    '"childrenCount"': '(SELECT count(*) FROM folder f WHERE f."parentId" = t.id AND f."deletedAt" IS NULL)',
    '"sizeSum"': '(SELECT COALESCE(sum(f.size), 0) FROM folder f WHERE f."parentId" = t.id AND f."deletedAt" IS NULL)',
  },
};
const EMPLOYEES: Truth = {
  table: 'employee',
  columns: { '"reportsCount"': '(SELECT count(*) FROM employee e WHERE e."managerId" = t.id)' },
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [Folder, Employee] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('a table that refers to itself, PostgreSQL %s', (version) => {
  const manager = (): Fixture['dataSource']['manager'] => fixture.dataSource.manager;
  const right = (): Promise<void> => expectRight(fixture, [FOLDERS]);

  beforeAll(() => answerAs(fixture, version));
  beforeEach(() => clear(fixture, [Folder, Employee]));
  afterEach(() => expectAgreed(fixture));

  /** Three levels: one folder, its two, and two in the first of those. */
  async function grow(): Promise<[root: Folder, branch: Folder, leaf: Folder, other: Folder]> {
    const root = await manager().save(
      manager().create(Folder, { children: [{ size: 2, children: [{ size: 4 }, { size: 8 }] }, { size: 16 }] }),
    );
    const [branch, other] = root.children;
    const leaf = branch?.children[0];
    if (branch === undefined || other === undefined || leaf === undefined) throw new Error('nothing grew');
    return [root, branch, leaf, other];
  }

  test('every write of a child', async () => {
    const [root, , , other] = await grow();
    await expectEveryWrite<Folder>(fixture, {
      source: Folder,
      targets: [root, other],
      values: (parent, size) => ({ parent, size }),
      truths: [FOLDERS],
    });
  });

  test('a subtree moves, and a folder that is its own parent', async () => {
    const [root, branch, leaf, other] = await grow();
    await manager().update(Folder, { id: branch.id }, { parent: other, size: 3 });
    await right();
    await manager().save(Object.assign(await manager().findOneByOrFail(Folder, { id: leaf.id }), { parent: root }));
    await right();
    await manager().update(Folder, { id: root.id }, { parent: root });
    await right();
    await manager().update(Folder, { parent: { id: root.id } }, { size: () => 'size * 2' });
    await right();
    await manager().delete(Folder, { id: root.id });
    expect(await manager().count(Folder)).toBe(0);
  });

  test('a branch goes with all that is below it', async () => {
    const [root, branch, leaf] = await grow();
    await manager().insert(Folder, [{ parent: leaf }, { parent: leaf }]);
    await right();
    await manager().delete(Folder, { id: branch.id });
    expect(await manager().count(Folder)).toBe(2);
    await right();
    await manager().remove(await manager().findOneByOrFail(Folder, { id: root.id }));
    expect(await manager().count(Folder)).toBe(0);
  });

  test('a parent and its child are deleted by one statement', async () => {
    const [root, branch, , other] = await grow();
    await manager().delete(Folder, [branch.id, other.id]);
    await right();
    expect(await manager().findOneByOrFail(Folder, { id: root.id })).toMatchObject({ childrenCount: 0, sizeSum: 0 });
    await manager().createQueryBuilder().delete().from(Folder).execute();
  });

  test('a branch is soft-removed and recovered with all that is below it', async () => {
    const [, { id }] = await grow();
    const branch = await manager().findOneOrFail(Folder, { where: { id }, relations: { children: true } });
    await manager().softRemove(branch);
    expect(await manager().count(Folder)).toBe(2);
    await right();
    await manager().recover(branch);
    expect(await manager().count(Folder)).toBe(5);
    await right();
    await manager().softDelete(Folder, { id });
    await right();
    await manager().restore(Folder, { id });
    await right();
  });

  test('children stay without their parent (SET NULL)', async () => {
    const boss = await manager().save(manager().create(Employee));
    const [lead] = await manager().save(manager().create(Employee, [{ manager: boss }, { manager: boss }]));
    await manager().insert(Employee, [{ manager: lead ?? null }, { manager: lead ?? null }]);
    await manager().update(Employee, { id: boss.id }, { manager: lead ?? null });
    await expectRight(fixture, [EMPLOYEES]);
    await manager().delete(Employee, { id: lead?.id ?? 0 });
    expect(await manager().count(Employee)).toBe(4);
    await expectRight(fixture, [EMPLOYEES]);
    await manager().remove(await manager().findOneByOrFail(Employee, { id: boss.id }));
    await expectRight(fixture, [EMPLOYEES]);
  });
});
