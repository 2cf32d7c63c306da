import { Column, Entity, type Logger, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { expectAgreement } from './agreement';

const HOUR = 3_600_000;

@Entity()
class Topic {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) repliesCount!: number;
}

@Entity()
@CounterCache<Reply, Topic>({
  relation: 'topic',
  column: 'repliesCount',
  wait: ({ mood }) => {
    if (mood === 'throws') throw new Error('no mood');
    return { urgent: 0, slow: 2 * HOUR, negative: -5, nan: Number.NaN }[mood] ?? HOUR;
  },
})
class Reply {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) mood!: string;
  @Column({ default: '' }) body!: string;
  @ManyToOne(() => Topic) topic!: Relation<Topic>;
}

@Entity()
class Jar {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'numeric', precision: 9, scale: 2, default: 0 }) beans!: NumericText;
  @Column({ default: 0 }) oddCount!: number;
}

@Entity()
@CounterCache<Bean, Jar>({ relation: 'jar', column: 'beans', incrementBy: 'size', flushAt: 3, recalculation: false })
@CounterCache<Bean, Jar>({
  relation: 'jar',
  column: 'oddCount',
  if: ({ odd }) => odd,
  reads: ['odd'],
  recalculation: false,
})
class Bean {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ type: 'numeric', precision: 9, scale: 2, default: 1 }) size!: NumericText;
  @Column({ default: false }) odd!: boolean;
  @Column({ default: '' }) label!: string;
  @ManyToOne(() => Jar) jar!: Relation<Jar>;
}

const TOPICS = `SELECT t.id, ARRAY["repliesCount"]::text[] AS got,
  ARRAY[(SELECT count(*) FROM reply r WHERE r."topicId" = t.id)]::text[] AS right FROM topic t ORDER BY t.id`;
const JARS = `SELECT j.id, ARRAY[beans, "oddCount"]::numeric[]::text[] AS got, ARRAY[
  (SELECT COALESCE(sum(size), 0) FROM bean b WHERE b."jarId" = j.id)::numeric(9,2),
  (SELECT count(*) FROM bean b WHERE b."jarId" = j.id AND odd)]::numeric[]::text[] AS right FROM jar j ORDER BY j.id`;

const statements: string[] = [];
const nothing = (): void => undefined;
const logger: Logger = {
  logQuery: (sql) => void statements.push(sql),
  logQueryError: nothing,
  logQuerySlow: nothing,
  logSchemaBuild: nothing,
  logMigration: nothing,
  log: nothing,
};

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({
    entities: [Topic, Reply, Jar, Bean],
    counters: { wait: HOUR },
    dataSource: { logger, logging: true },
    worker: true,
  });
});
afterEach(async () => {
  await expectAgreement(fixture, ...(await truths()));
  fixture.errors.length = 0;
});
afterAll(() => fixture.close());

async function truths(): Promise<string[]> {
  const { manager } = fixture.dataSource;
  return [...((await manager.count(Topic)) > 0 ? [TOPICS] : []), ...((await manager.count(Jar)) > 0 ? [JARS] : [])];
}

/** Milliseconds until the oldest pending delta is due. */
async function dueIn(): Promise<number> {
  await fixture.counters.settled();
  const { oldestDue } = await fixture.counters.status();
  if (oldestDue === null) throw new Error('nothing is pending');
  return oldestDue - Date.now();
}

const newTopic = (): Promise<Topic> => fixture.dataSource.manager.save(fixture.dataSource.manager.create(Topic));
const newJar = (): Promise<Jar> => fixture.dataSource.manager.save(fixture.dataSource.manager.create(Jar));
const repliesOf = async ({ id }: Topic): Promise<number> =>
  (await fixture.dataSource.manager.findOneByOrFail(Topic, { id })).repliesCount;
const beansOf = async ({ id }: Jar): Promise<string> =>
  (await fixture.dataSource.manager.findOneByOrFail(Jar, { id })).beans;

describe('wait', () => {
  test('as a function: each row says how long it may wait, the shortest counts', async () => {
    const topic = await newTopic();
    await fixture.dataSource.manager.insert(Reply, { topic, mood: 'slow' });
    expect(await dueIn()).toBeGreaterThan(1.5 * HOUR);
    await fixture.dataSource.manager.insert(Reply, { topic });
    const due = await dueIn();
    expect(due).toBeGreaterThan(0.9 * HOUR);
    expect(due).toBeLessThan(1.1 * HOUR);
    expect(await repliesOf(topic)).toBe(0);
    await fixture.dataSource.manager.insert(Reply, { topic, mood: 'urgent' });
    await until(async () => (await repliesOf(topic)) === 3);
    expect(fixture.errors).toEqual([]);
  });

  test.each(['negative', 'nan', 'throws'])('%s: the default is used, and an error event tells', async (mood) => {
    const topic = await newTopic();
    await fixture.dataSource.manager.insert(Reply, { topic, mood });
    expect(await dueIn()).toBeGreaterThan(0.9 * HOUR);
    expect(fixture.errors.map(String)).toEqual([
      expect.stringContaining("Reply.topic → Topic.repliesCount: expected 'wait'"),
    ]);
    expect(await fixture.dataSource.manager.countBy(Reply, { topic: { id: topic.id } })).toBe(1);
  });
});

describe('flushAt', () => {
  test('makes a target due at once when its pending delta reaches it, up or down', async () => {
    const jar = await newJar();
    const { manager } = fixture.dataSource;
    const beans = await manager.save(Bean, [{ jar }, { jar, size: '1.99' }]);
    expect(await dueIn()).toBeGreaterThan(0.9 * HOUR);
    await manager.insert(Bean, { jar, size: '0.01' });
    await until(async () => (await beansOf(jar)) === '3.00');
    for (const { id } of beans) await manager.delete(Bean, { id });
    expect(await dueIn()).toBeGreaterThan(0.9 * HOUR);
    await manager.delete(Bean, { size: '0.01' });
    await until(async () => (await beansOf(jar)) === '0.00');
  });

  test('counts one transaction as a whole', async () => {
    const jar = await newJar();
    await fixture.dataSource.manager.insert(Bean, [{ jar }, { jar }, { jar, size: '7.00' }]);
    await until(async () => (await beansOf(jar)) === '9.00');
  });
});

describe('recalculation: false', () => {
  test('nothing is scheduled by writes, and by hand it works', async () => {
    const before = (await fixture.counters.status()).recalculations;
    const jar = await newJar();
    await fixture.dataSource.manager.insert(Bean, { jar, odd: true });
    await fixture.counters.settled();
    expect((await fixture.counters.status()).recalculations).toBe(before);
    await fixture.dataSource.query('UPDATE jar SET "oddCount" = 9 WHERE id = $1', [jar.id]);
    expect(await fixture.counters.recalculate({ target: Jar, ids: [jar.id] })).toMatchObject({ fixedCount: 1 });
    const topic = await newTopic();
    await fixture.dataSource.manager.insert(Reply, { topic });
    await fixture.counters.settled();
    expect((await fixture.counters.status()).recalculations).toBe(before + 1);
  });
});

describe('reads', () => {
  test('an update of other columns costs nothing at all', async () => {
    const jar = await newJar();
    const bean = await fixture.dataSource.manager.save(Bean, { jar, odd: true });
    await fixture.counters.flush();
    statements.length = 0;
    await fixture.dataSource.manager.update(Bean, { id: bean.id }, { label: 'kidney' });
    const own = statements.filter((sql) => /"bean"|TRANSACTION|COMMIT/.test(sql));
    expect(own).toEqual([expect.stringMatching(/^UPDATE "bean" SET "label" = \$1 WHERE/)]);
    await fixture.dataSource.manager.update(Bean, { id: bean.id }, { odd: false });
    await fixture.counters.settled();
    expect(await fixture.counters.status()).toMatchObject({ dirty: 1 });
  });
});
