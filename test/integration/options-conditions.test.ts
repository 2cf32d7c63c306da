import {
  And,
  ArrayContains,
  ArrayOverlap,
  Column,
  DeleteDateColumn,
  Entity,
  In,
  IsNull,
  LessThan,
  LessThanOrEqual,
  Like,
  ManyToOne,
  MoreThan,
  MoreThanOrEqual,
  Not,
  Or,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { expectAgreement, expectRecount, randomFrom } from './agreement';

const NOON = new Date('2026-01-01T12:00:00.500Z');

@Entity()
class Board {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) opened!: number;
  @Column({ default: 0 }) live!: number;
  @Column({ default: 0 }) stateless!: number;
  @Column({ default: 0 }) notOpened!: number;
  @Column({ default: 0 }) withState!: number;
  @Column({ default: 0 }) cheap!: number;
  @Column({ default: 0 }) recent!: number;
  @Column({ default: 0 }) red!: number;
  @Column({ default: 0 }) even!: number;
  @Column({ default: 0 }) evenAndOpened!: number;
  @Column({ default: 0 }) openish!: number;
  @Column({ default: 0 }) middling!: number;
  @Column({ default: 0 }) tagged!: number;
  @Column({ default: 0 }) either!: number;
  @Column({ default: 0 }) ever!: number;
  @Column({ default: 0 }) never!: number;
}

@Entity()
@CounterCache<Card, Board>({ relation: 'board', column: 'opened', where: { state: 'open' } })
@CounterCache<Card, Board>({ relation: 'board', column: 'live', where: { state: In(['open', "it's held"]) } })
@CounterCache<Card, Board>({ relation: 'board', column: 'stateless', where: { state: IsNull() } })
@CounterCache<Card, Board>({ relation: 'board', column: 'notOpened', where: { state: Not('open') } })
@CounterCache<Card, Board>({
  relation: 'board',
  column: 'withState',
  where: { state: Not(IsNull()), points: MoreThan(3) },
})
@CounterCache<Card, Board>({
  relation: 'board',
  column: 'cheap',
  where: { points: MoreThanOrEqual(2), price: LessThan(2.5) },
})
@CounterCache<Card, Board>({ relation: 'board', column: 'recent', where: { seenAt: LessThanOrEqual(NOON) } })
@CounterCache<Card, Board>({
  relation: 'board',
  column: 'red',
  where: { color: Not(In(['blue', 'grey'])), done: false },
})
@CounterCache<Card, Board>({
  relation: 'board',
  column: 'even',
  if: ({ points }) => points !== null && points % 2 === 0,
})
@CounterCache<Card, Board>({
  relation: 'board',
  column: 'evenAndOpened',
  where: { state: 'open' },
  if: ({ points }) => points !== null && points % 2 === 0,
})
@CounterCache<Card, Board>({
  relation: 'board',
  column: 'openish',
  where: { state: And(Like('o_en%'), Not(Like('% '))) },
})
@CounterCache<Card, Board>({
  relation: 'board',
  column: 'middling',
  where: { points: Or(IsNull(), And(MoreThan(1), LessThan(4))) },
})
@CounterCache<Card, Board>({
  relation: 'board',
  column: 'tagged',
  where: { tags: And(ArrayOverlap(['hot', 'new']), Not(ArrayContains(['new', 'old']))) },
})
@CounterCache<Card, Board>({
  relation: 'board',
  column: 'either',
  where: [{ state: Not('open'), done: true }, { tags: ArrayContains(['old']) }, { points: 7 }],
})
@CounterCache<Card, Board>({ relation: 'board', column: 'ever', includeSoftDeleted: true })
@CounterCache<Card, Board>({ relation: 'board', column: 'never', where: { state: In([]) } })
class Card {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'text', nullable: true }) state!: string | null;
  @Column({ type: 'int', nullable: true }) points!: number | null;
  @Column({ type: 'numeric', precision: 8, scale: 2, default: 0 }) price!: string | number;
  @Column({ type: 'timestamptz', nullable: true }) seenAt!: Date | null;
  @Column({ type: 'enum', enum: ['red', 'blue', 'grey'], default: 'red' }) color!: 'red' | 'blue' | 'grey';
  @Column({ default: false }) done!: boolean;
  @Column({ type: 'text', array: true, nullable: true }) tags!: string[] | null;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Board, { nullable: true }) board!: Relation<Board> | null;
}

const CONDITIONS = [
  `state = 'open'`,
  `state IN ('open', 'it''s held')`,
  `state IS NULL`,
  `state <> 'open'`,
  `state IS NOT NULL AND points > 3`,
  `points >= 2 AND price < 2.5`,
  `date_trunc('milliseconds', "seenAt") <= '2026-01-01T12:00:00.500Z'`,
  `color NOT IN ('blue', 'grey') AND NOT done`,
  `points % 2 = 0`,
  `points % 2 = 0 AND state = 'open'`,
  `state LIKE 'o_en%' AND state NOT LIKE '% '`,
  `(points IS NULL OR points > 1 AND points < 4)`,
  `tags && '{hot,new}' AND NOT tags @> '{new,old}'`,
  `(state <> 'open' AND done OR tags @> '{old}' OR points = 7)`,
];
const COLUMNS = `"opened", "live", "stateless", "notOpened", "withState", "cheap", "recent", "red", "even", "evenAndOpened", "openish", "middling", "tagged", "either", "ever", "never"`;
const TRUTH = `SELECT b.id, ARRAY[${COLUMNS}]::text[] AS got, ARRAY[
  ${CONDITIONS.map((condition) => `count(c.id) FILTER (WHERE c."deletedAt" IS NULL AND ${condition})`).join(', ')},
  count(c.id), 0]::text[] AS right FROM board b LEFT JOIN card c ON c."boardId" = b.id GROUP BY b.id ORDER BY b.id`;

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Board, Card] });
});
afterAll(() => fixture.close());

const random = randomFrom(7);
const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
const pickCard = (boards: readonly (Board | null)[]): Partial<Card> => ({
  state: pick(['open', 'open ', 'OPEN', "it's held", 'closed', '', null]),
  points: pick([null, 0, 1, 2, 3, 4, 7]),
  price: pick(['2.49', '2.50', '2.51', '-1.00', 2.4]),
  seenAt: pick([null, NOON, new Date(NOON.getTime() - 1), new Date(NOON.getTime() + 1)]),
  color: pick(['red', 'blue', 'grey'] as const),
  done: pick([true, false]),
  tags: pick([null, [], ['hot'], ['new', 'old'], ['old', 'hot', 'new'], ['new'], ['HOT', null as never]]),
  board: pick(boards),
});

async function write(boards: readonly (Board | null)[]): Promise<void> {
  const { manager } = fixture.dataSource;
  const [{ id } = { id: 0 }]: { id: number }[] = await manager.query('SELECT id FROM card ORDER BY random() LIMIT 1');
  const values = pickCard(boards);
  switch (pick(['insert', 'save', 'update', 'update', 'patch', 'delete', 'softDelete', 'restore', 'raw'])) {
    case 'insert':
      await manager.insert(Card, values);
      break;
    case 'save':
      await manager.save(Card, { id, ...values });
      break;
    case 'update':
      await manager.update(Card, { id }, values);
      break;
    case 'patch':
      await manager.update(Card, { state: pick(['open', 'closed']) }, { points: values.points ?? null });
      break;
    case 'delete':
      await manager.delete(Card, { id });
      break;
    case 'softDelete':
      await manager.softDelete(Card, { id });
      break;
    case 'restore':
      await manager.restore(Card, { id });
      break;
    default:
      await manager.update(
        Card,
        { id },
        { points: () => 'points + 1', seenAt: () => `"seenAt" + interval '300 microseconds'` },
      );
  }
}

test.each(['18', '17.0'])(
  'conditions mean the same in JS and in SQL, whatever is written (PostgreSQL %s)',
  async (version) => {
    const { manager, driver } = fixture.dataSource;
    if (version === '17.0') (driver as { version?: string }).version = version;
    const boards = [...(await manager.save(manager.create(Board, [{}, {}, {}]))), null];
    for (let round = 0; round < 4; round++) {
      await manager.insert(
        Card,
        Array.from({ length: 20 }, () => pickCard(boards)),
      );
      for (let i = 0; i < 40; i++) await write(boards);
      await expectAgreement(fixture, TRUTH);
    }
    await expectRecount(fixture, 'UPDATE board SET opened = 99, even = 99, ever = 99, red = red + 1', TRUTH);
    expect(fixture.errors).toEqual([]);
  },
);

test('what no condition looks at changes nothing', async () => {
  const { manager } = fixture.dataSource;
  const board = await manager.save(manager.create(Board));
  const card = await manager.save(Card, { board, state: 'open', points: 4 });
  await fixture.counters.flush();
  await manager.update(Card, { id: card.id }, { price: '9.00', points: 6 });
  await fixture.counters.settled();
  expect(await fixture.counters.status()).toMatchObject({ dirty: 1 });
  await fixture.counters.flush();
  await manager.update(Card, { id: card.id }, { price: '9.01', points: 8 });
  await fixture.counters.settled();
  expect(await fixture.counters.status()).toMatchObject({ dirty: 0 });
  await expectAgreement(fixture, TRUTH);
});
