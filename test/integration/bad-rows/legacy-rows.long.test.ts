import {
  Column,
  DeleteDateColumn,
  Entity,
  type EntityManager,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { describeVersions } from '../../support/versions';

@Entity()
class Board {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) cardsCount!: number;
  @Column({ default: 0 }) doneCount!: number;
  @Column({ default: 0 }) points!: number;
  @Column({ default: 0 }) low!: number;
  @Column({ default: 0 }) high!: number;
}

const check = (label: string): void => {
  if (label.startsWith('legacy')) throw new Error(`label ${label}`);
};

@Entity()
@CounterCache<Card, Board>({ relation: 'board', column: 'cardsCount' })
@CounterCache<Card, Board>({
  relation: 'board',
  column: 'doneCount',
  if: ({ label }) => {
    check(label);
    return label === 'done';
  },
})
@CounterCache<Card, Board>({
  relation: 'board',
  column: 'points',
  incrementBy: ({ label, n }) => {
    check(label);
    return n;
  },
})
@CounterCache<Card, Board>({
  relation: 'board',
  columns: ['low', 'high'],
  column: ({ label, n }) => {
    check(label);
    return n < 5 ? 'low' : 'high';
  },
})
class Card {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 'done' }) label!: string;
  @Column({ default: 1 }) n!: number;
  @Column({ default: '' }) title!: string;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Board, { nullable: true, onDelete: 'CASCADE' }) board!: Relation<Board> | null;
}

const WRONG = `SELECT b.id FROM board b LEFT JOIN card c ON c."boardId" = b.id AND c."deletedAt" IS NULL
  GROUP BY b.id HAVING "cardsCount" <> count(c.id) OR "doneCount" <> count(c.id) FILTER (WHERE label = 'done')
    OR points <> COALESCE(sum(n), 0) OR low <> count(c.id) FILTER (WHERE n < 5) OR high <> count(c.id) FILTER (WHERE n >= 5)`;

describeVersions('a legacy row that functions of its counters throw on', (server) => {
  describe.each(['buffered', 'outbox'] as const)('%s', (mode) => {
    let fixture: Fixture;
    let manager: EntityManager;
    let boards: Board[];
    let legacy: { id: number };

    beforeAll(async () => {
      fixture = await setup({ entities: [Board, Card], server: server(), counters: { mode }, worker: true });
      manager = fixture.dataSource.manager;
    });
    beforeEach(async () => {
      boards = await manager.save(manager.create(Board, [{}, {}]));
      await manager.insert(Card, [{ board: boards[0] ?? null }, { board: boards[1] ?? null, n: 7 }]);
      const rows: { id: number }[] = await fixture.dataSource.query(
        `INSERT INTO card (label, n, "boardId") VALUES ('legacy', 3, $1) RETURNING id`,
        [boards[0]?.id],
      );
      legacy = { id: rows[0]?.id ?? 0 };
      // As it was counted once.
      await fixture.dataSource.query(
        'UPDATE board SET "cardsCount" = "cardsCount" + 1, points = points + 3, low = low + 1 WHERE id = $1',
        [boards[0]?.id],
      );
    });
    afterAll(() => fixture.close());

    const expectRightAt = async (board: Board | undefined): Promise<void> => {
      await until(async () => {
        const wrong: { id: number }[] = await fixture.dataSource.query(WRONG);
        return !wrong.some(({ id }) => id === board?.id);
      });
    };

    test('is deleted, and its parent is right', async () => {
      await manager.delete(Card, { id: legacy.id });
      await expectRightAt(boards[0]);
    });

    test('is removed, soft-deleted or loses its parent', async () => {
      await manager.softDelete(Card, { id: legacy.id });
      await expectRightAt(boards[0]);
      await manager.delete(Card, { id: legacy.id });
      await expectRightAt(boards[0]);
    });

    test('loses its parent', async () => {
      await manager.update(Card, { id: legacy.id }, { board: null });
      await expectRightAt(boards[0]);
    });

    test('is moved: the parent that it leaves is right', async () => {
      const card = await manager.findOneByOrFail(Card, { id: legacy.id });
      card.board = boards[1] ?? null;
      await manager.save(card);
      await expectRightAt(boards[0]);
      const other = { entity: 'Board', id: String(boards[1]?.id) };
      const { failed } = await fixture.counters.recalculate({ target: Board, ids: [boards[1]?.id ?? 0] });
      expect(failed).toEqual(expect.arrayContaining([expect.objectContaining(other)]));
      expect(new Set(failed.map(({ counter }) => counter)).size).toBe(3);
      await until(async () => (await manager.findOneByOrFail(Board, { id: boards[1]?.id ?? 0 })).cardsCount === 2);
      await manager.delete(Card, { id: legacy.id });
      await expectRightAt(boards[1]);
    });

    test('is mended, and counts', async () => {
      await manager.update(Card, { id: legacy.id }, { label: 'done', n: 6 });
      await expectRightAt(boards[0]);
    });

    test('is changed where that is not what is wrong with it', async () => {
      await manager.update(Card, { id: legacy.id }, { title: 'another' });
      await manager.delete(Card, { id: legacy.id });
      await expectRightAt(boards[0]);
    });

    test('is deleted with its parent', async () => {
      await manager.delete(Board, { id: boards[0]?.id ?? 0 });
      expect(await manager.countBy(Card, { id: legacy.id })).toBe(0);
      await expectRightAt(boards[1]);
    });

    test('a new version that cannot be counted is refused', async () => {
      const refused = expect.objectContaining({ code: 'BAD_AMOUNT' }) as unknown;
      await expect(manager.insert(Card, { label: 'legacy', board: boards[0] ?? null })).rejects.toEqual(refused);
      const good = await manager.findOneByOrFail(Card, { board: { id: boards[0]?.id ?? 0 }, label: 'done' });
      await expect(manager.update(Card, { id: good.id }, { label: 'legacy' })).rejects.toEqual(refused);
      await expect(manager.update(Card, { id: legacy.id }, { label: 'legacy too' })).rejects.toEqual(refused);
      await manager.delete(Card, { id: legacy.id });
      await expectRightAt(boards[0]);
    });

    test('is changed by raw SQL that is tracked, and by TypeORM in it', async () => {
      const { counters } = fixture;
      await counters.track(manager, Card, { id: legacy.id }, async (own) => {
        await own.update(Card, { id: legacy.id }, { label: 'done' });
        await own.query('UPDATE card SET n = 9 WHERE id = $1', [legacy.id]);
      });
      await expectRightAt(boards[0]);
    });
  });
});
