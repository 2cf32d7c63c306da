import {
  Column,
  Entity,
  type EntityTarget,
  PrimaryGeneratedColumn,
  type Relation,
  Tree,
  TreeChildren,
  TreeParent,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import type { Fixture } from '../../support/setup';
import { answerAs, clear, expectAgreed, expectMended, expectRight, setupShape, type Truth, VERSIONS } from './truth';

interface Node {
  id: number;
  name: string;
  childrenCount: number;
  parent: Relation<Node> | null;
  children: Node[];
}

@Entity()
@Tree('materialized-path')
@CounterCache<PathNode, PathNode>({ relation: 'parent', column: 'childrenCount' })
class PathNode implements Node {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) childrenCount!: number;
  @TreeParent({ onDelete: 'CASCADE' }) parent!: Relation<PathNode> | null;
  @TreeChildren({ cascade: true }) children!: PathNode[];
}

@Entity()
@Tree('closure-table')
@CounterCache<ClosureNode, ClosureNode>({ relation: 'parent', column: 'childrenCount' })
class ClosureNode implements Node {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) childrenCount!: number;
  @TreeParent({ onDelete: 'CASCADE' }) parent!: Relation<ClosureNode> | null;
  @TreeChildren({ cascade: true }) children!: ClosureNode[];
}

@Entity()
@Tree('nested-set')
@CounterCache<SetNode, SetNode>({ relation: 'parent', column: 'childrenCount' })
class SetNode implements Node {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) childrenCount!: number;
  @TreeParent({ onDelete: 'CASCADE' }) parent!: Relation<SetNode> | null;
  @TreeChildren({ cascade: true }) children!: SetNode[];
}

const truthOf = (table: string): readonly Truth[] => [
  { table, columns: { '"childrenCount"': `(SELECT count(*) FROM ${table} n WHERE n."parentId" = t.id)` } },
];

const TREES: readonly [string, EntityTarget<Node>, readonly Truth[]][] = [
  ['materialized path', PathNode, truthOf('path_node')],
  ['closure table', ClosureNode, truthOf('closure_node')],
  ['nested set', SetNode, truthOf('set_node')],
];

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setupShape({ entities: [PathNode, ClosureNode, SetNode] });
});
afterAll(() => fixture.close());

describe.each(VERSIONS)('trees, PostgreSQL %s', (version) => {
  beforeAll(() => answerAs(fixture, version));
  beforeEach(async () => {
    await fixture.dataSource.query('DELETE FROM closure_node_closure');
    await clear(fixture, [PathNode, ClosureNode, SetNode]);
  });
  afterEach(() => expectAgreed(fixture));

  describe.each(TREES)('%s', (_, entity, truths) => {
    const repository = () => fixture.dataSource.getTreeRepository(entity);
    const right = (): Promise<void> => expectRight(fixture, truths);
    const save = (name: string, parent: Node | null): Promise<Node> =>
      repository().save(repository().create({ name, parent }));
    /** How the tree itself sees its root's descendants: undisturbed by the counters. */
    const names = async (root: Node): Promise<string[]> => {
      const found = await repository().findDescendants(root);
      return found.map(({ name }) => name).toSorted();
    };

    async function grow(): Promise<[root: Node, a: Node, b: Node, a1: Node]> {
      const root = await save('root', null);
      const a = await save('a', root);
      const b = await save('b', root);
      return [root, a, b, await save('a1', a)];
    }

    test('grows, node by node and by cascades', async () => {
      const [root, , b] = await grow();
      await right();
      const read = await repository().findDescendantsTree(b);
      read.children = [repository().create({ name: 'b1', children: [] }), repository().create({ name: 'b2' })];
      await repository().save(read);
      expect(await names(root)).toEqual(['a', 'a1', 'b', 'b1', 'b2', 'root']);
      await right();
      await expectMended(fixture, truths);
    });

    test('a subtree moves', async () => {
      const [root, a, b] = await grow();
      a.parent = b;
      await repository().save(a);
      expect(await names(b)).toEqual(['a', 'a1', 'b']);
      expect(await names(root)).toEqual(['a', 'a1', 'b', 'root']);
      await right();
      a.parent = root;
      a.name = 'moved back';
      await repository().save(a);
      expect(await names(b)).toEqual(['b']);
      await right();
    });

    test('is renamed without a counter being touched', async () => {
      const [root, a] = await grow();
      await right();
      a.name = 'renamed';
      await repository().save(a);
      expect(await fixture.counters.flush()).toMatchObject({ targets: 0 });
      expect(await names(root)).toEqual(['a1', 'b', 'renamed', 'root']);
    });

    test('a leaf and a branch are removed', async () => {
      const [root, a, b] = await grow();
      await repository().remove(b);
      await right();
      await repository().remove(a);
      expect(await names(root)).toEqual(['root']);
      expect(await repository().count()).toBe(1);
      await right();
    });

    test('a move is rolled back', async () => {
      const [root, a, b] = await grow();
      const failure = new Error('rolled back');
      const move = fixture.dataSource.transaction(async (manager) => {
        await manager.getTreeRepository(entity).save(Object.assign(a, { parent: b }));
        throw failure;
      });
      await expect(move).rejects.toBe(failure);
      expect(await names(b)).toEqual(['b']);
      expect(await names(root)).toEqual(['a', 'a1', 'b', 'root']);
      await right();
    });
  });
});
