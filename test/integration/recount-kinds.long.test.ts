import { Column, Entity, type EntityManager, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { expectAgreement, expectRecount } from './agreement';

@Entity()
class Thread {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) linesCount!: number;
  @Column({ default: 0 }) oddCount!: number;
  @Column({ type: 'numeric', precision: 14, scale: 2, default: 0 }) score!: NumericText;
  @Column({ default: 0 }) pairsCount!: number;
  @Column({ type: 'numeric', precision: 14, scale: 2, default: 0 }) weighed!: NumericText;

  /** The id of a row whose lines cannot be counted. */
  static uncountable = 0;
  static answer: unknown;

  async countLines(manager: EntityManager): Promise<number> {
    const { id } = this;
    if (id === Thread.uncountable) throw new Error('cannot count');
    if (Thread.answer !== undefined) return Thread.answer as number;
    return manager.countBy(Line, { thread: { id } });
  }
}

@Entity()
@CounterCache<Line, Thread>({ relation: 'thread', column: 'linesCount', method: 'countLines' })
@CounterCache<Line, Thread>({ relation: 'thread', column: 'oddCount', if: ({ n }) => n % 2 === 1 })
@CounterCache<Line, Thread>({ relation: 'thread', column: 'score', incrementBy: ({ n }) => (n % 10) / 10 })
@CounterCache<Line, Thread>({ relation: 'thread', column: 'pairsCount', where: { paired: true } })
@CounterCache<Line, Thread>({
  relation: 'thread',
  column: 'weighed',
  incrementBy: 'weight',
  method: async ({ id }, manager) => {
    const rows: { n: string }[] = await manager.query(
      'SELECT COALESCE(sum(weight), 0)::numeric(14,2)::text AS n FROM line WHERE "threadId" = $1',
      [id],
    );
    return rows[0]?.n ?? '0';
  },
})
class Line {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 1 }) n!: number;
  @Column({ default: false }) paired!: boolean;
  @Column({ type: 'numeric', precision: 10, scale: 2, default: 1 }) weight!: NumericText;
  @ManyToOne(() => Thread, { nullable: true }) thread!: Relation<Thread> | null;
}

const TRUTH = `SELECT t.id, ARRAY["linesCount", "oddCount", score, "pairsCount", weighed]::numeric[]::text[] AS got, ARRAY[
  count(l.id), count(l.id) FILTER (WHERE n % 2 = 1), COALESCE(sum((n % 10) / 10.0), 0)::numeric(14,2),
  count(l.id) FILTER (WHERE paired), COALESCE(sum(weight), 0)::numeric(14,2)]::numeric[]::text[] AS right
  FROM thread t LEFT JOIN line l ON l."threadId" = t.id GROUP BY t.id ORDER BY t.id`;
const SPOIL = `UPDATE thread SET "linesCount" = -1, "oddCount" = -1, score = -1, "pairsCount" = -1, weighed = -1`;

let fixture: Fixture;

afterEach(async () => {
  expect(fixture.errors).toEqual([]);
  await fixture.close();
});

async function seed({ dataSource }: Fixture, threads: number, lines: number): Promise<number[]> {
  const ids = (
    await dataSource.manager.save(
      Thread,
      Array.from({ length: threads }, () => ({})),
    )
  ).map(({ id }) => id);
  await dataSource.query(
    `INSERT INTO line (n, paired, weight, "threadId") SELECT i, i % 3 = 0, (i % 100) / 100.0, $1::int + i % $2 FROM generate_series(1, $3) i`,
    [ids[0], threads, lines],
  );
  return ids;
}

test('by SQL, by a named method, by a function, and by streaming more than one page of sources', async () => {
  fixture = await setup({ entities: [Thread, Line], counters: { shards: 2 } });
  await seed(fixture, 4, 9_001);
  await fixture.dataSource.query(SPOIL);
  expect(await fixture.counters.recalculate()).toMatchObject({ checked: 4, fixedCount: 20 });
  await expectAgreement(fixture, TRUTH);
  await fixture.dataSource.manager.update(Line, { paired: true }, { n: () => 'n + 1', weight: () => 'weight * 2' });
  await expectAgreement(fixture, TRUTH);
  await expectRecount(fixture, SPOIL, TRUTH);
});

test('recalculationDelay: the worker recalculates by itself and fixes a spoiled column', async () => {
  fixture = await setup({ entities: [Thread, Line], counters: { recalculationDelay: 50 }, worker: true });
  const { manager } = fixture.dataSource;
  const thread = await manager.save(manager.create(Thread));
  const drifts: unknown[] = [];
  let checked = 0;
  fixture.counters.on('drift', (event) => drifts.push(...event.drifts));
  fixture.counters.on('recalculated', (event) => void (checked += event.checked));
  await fixture.dataSource.query(SPOIL);
  await manager.insert(Line, { thread, n: 3, paired: true, weight: '0.25' });
  const right = { linesCount: 1, oddCount: 1, score: '0.30', pairsCount: 1, weighed: '0.25' };
  await until(async () => {
    const { linesCount, oddCount, score, pairsCount, weighed } = await manager.findOneByOrFail(Thread, {
      id: thread.id,
    });
    return JSON.stringify({ linesCount, oddCount, score, pairsCount, weighed }) === JSON.stringify(right);
  });
  await until(async () => (await fixture.counters.status()).recalculations === 0);
  expect(checked).toBeGreaterThan(0);
  const drift = { entity: 'Thread', id: String(thread.id), column: 'score', wrong: '-0.70', right: '0.30' };
  expect(drifts).toContainEqual({ ...drift, counters: ['Line.thread>Thread.score'] });
  await expectAgreement(fixture, TRUTH);
});

test('of a streamed and a method counter under live writes', async () => {
  fixture = await setup({ entities: [Thread, Line], counters: { shards: 2 }, worker: true });
  const [id = 0] = await seed(fixture, 1, 2_500);
  const { manager } = fixture.dataSource;
  for (let round = 0; round < 5; round++) {
    await fixture.dataSource.query(SPOIL);
    const stop = new AbortController();
    const writers = Array.from({ length: 6 }, async (_, writer) => {
      for (let i = 0; !stop.signal.aborted || i < 5; i++) {
        if (writer % 3 === 0) await manager.delete(Line, { n: 10 * round + i, thread: { id } });
        else await manager.insert(Line, { n: writer + i, paired: i % 2 === 0, weight: '0.10', thread: { id } });
      }
    });
    expect(await fixture.counters.recalculate({ target: Thread, ids: [id] })).toMatchObject({
      checked: 1,
      unsettled: [],
    });
    stop.abort();
    await Promise.all(writers);
    await until(async () => (await fixture.counters.status()).dirty === 0);
    await until(async () => (await fixture.counters.status()).batches === 0);
    await expectAgreement(fixture, TRUTH);
  }
});

test.each<[unknown, string]>([
  [0.5, 'expected its recount method to be at most 0 digits after the decimal point'],
  [null, 'expected its recount method to return a number, got: null (target '],
])('a method that returns %p is named, and says what it got', async (answer, message) => {
  fixture = await setup({ entities: [Thread, Line] });
  const { manager } = fixture.dataSource;
  const { id } = await manager.save(manager.create(Thread));
  Thread.answer = answer;
  const { failed } = await fixture.counters.recalculate();
  Thread.answer = undefined;
  const reason = expect.stringContaining(`Line.thread → Thread.linesCount: ${message}`) as string;
  expect(failed).toEqual([{ entity: 'Thread', id: String(id), counter: 'Line.thread>Thread.linesCount', reason }]);
});

test('a method that fails for one row keeps neither a call nor a worker from any other row', async () => {
  const scheduled = { recalculationDelay: 50, shards: 1 };
  fixture = await setup({ entities: [Thread, Line], counters: scheduled, worker: true });
  const { manager } = fixture.dataSource;
  const threads = await manager.save(manager.create(Thread, [{}, {}, {}]));
  Thread.uncountable = threads[1]?.id ?? 0;
  const reason = expect.stringContaining('cannot count') as string;
  expect(await fixture.counters.recalculate()).toMatchObject({ checked: 2, failed: [{ reason }] });
  await fixture.dataSource.query('UPDATE thread SET "oddCount" = 50');
  for (const thread of threads) await manager.insert(Line, { thread });
  await until(async () => (await manager.countBy(Thread, { oddCount: 1 })) === 3);
  await until(() =>
    fixture.errors.map(String).some((text) => text.includes(`Thread ${Thread.uncountable} cannot be recounted`)),
  );
  Thread.uncountable = 0;
  await fixture.worker?.close();
  fixture.errors.length = 0;
  await fixture.counters.recalculate();
  await expectAgreement(fixture, TRUTH);
});
