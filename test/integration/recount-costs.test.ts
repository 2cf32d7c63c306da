import { type Fixture, setup } from '../support/setup';
import { Author, Post } from './blog';
import { Meter } from '../support/meter';

let meter: Meter;

beforeAll(() => {
  meter = new Meter();
});
afterAll(() => meter.close());

/** No worker, and nothing due while a test runs: what is sent is what the operation costs. */
async function open(shards: number): Promise<Fixture> {
  const fixture = await setup({
    entities: [Author, Post],
    counters: { wait: 600_000, window: 1_000, recalculationDelay: 600_000_000, sweepInterval: 600_000, shards },
  });
  // The first time a script is sent whole, and a connection to PostgreSQL introduces itself.
  const { id } = await fixture.dataSource.manager.save(Author, { name: 'a' });
  await fixture.dataSource.manager.insert(Post, { authorId: id });
  await fixture.counters.flush();
  await fixture.dataSource.query('UPDATE author SET "postsCount" = 7');
  await fixture.counters.recalculate();
  return fixture;
}

async function close(fixture: Fixture): Promise<void> {
  await fixture.close();
  expect(fixture.errors).toEqual([]);
}

/** Ids of new authors. */
async function saveAuthors({ dataSource }: Fixture, count: number): Promise<number[]> {
  const authors = await dataSource.manager.save(
    Author,
    Array.from({ length: count }, () => ({ name: 'a' })),
  );
  return authors.map(({ id }) => id);
}

/** How often each of some names occurs. */
function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

describe('what a recalculation costs', () => {
  const SHARDS = 4;
  const TARGETS = 3_000;
  let fixture: Fixture;
  let ids: readonly number[];

  beforeAll(async () => {
    fixture = await open(SHARDS);
    // With the one that warmed up.
    ids = await saveAuthors(fixture, TARGETS - 1);
  });
  afterAll(() => close(fixture));

  /** Makes columns wrong behind the library's back. */
  async function spoil(wrong: readonly number[]): Promise<void> {
    await fixture.dataSource.query('UPDATE author SET "postsCount" = 7, "likesSum" = 7 WHERE id = ANY($1)', [wrong]);
  }

  const recalculate = () => fixture.counters.recalculate();

  test('3,000 right targets: one page, a horizon and a statement per 1,000, a lease and a finalize per shard', async () => {
    const sent = await meter.during(async () => {
      expect(await recalculate()).toMatchObject({ checked: TARGETS, fixedCount: 0 });
    });
    expect(tally(sent.sql.map((sql) => sql.split(' ')[0] ?? ''))).toEqual({ BEGIN: 1, SELECT: 1 + 3 * 2, COMMIT: 1 });
    expect(tally(sent.scripts)).toEqual({ 'acquire-lease': 3 * SHARDS, finalize: 3 * SHARDS });
    expect(sent.commands).toEqual([]);
  });

  test('of 10 targets: nothing for shards in which none of them lives', async () => {
    const sent = await meter.during(() => fixture.counters.recalculate({ target: Author, ids: ids.slice(0, 10) }));
    expect(sent.sql).toHaveLength(2);
    expect(sent.scripts.length).toBeLessThanOrEqual(2 * SHARDS);
  });

  test('3,000 wrong targets: besides, one batch per shard, whatever the number of columns', async () => {
    await spoil(await allIds());
    const sent = await meter.during(async () => {
      expect(await recalculate()).toMatchObject({ checked: TARGETS, fixedCount: 2 * TARGETS });
    });
    expect(tally(sent.sql.map((sql) => sql.split(' ').slice(0, 2).join(' ')))).toEqual({
      'SELECT q."k0",': 1,
      'SELECT pg_snapshot_xmin(pg_current_snapshot())::text': 3,
      'SELECT (t."id"': 3,
      // One for the page of targets.
      'BEGIN ISOLATION': 1 + SHARDS,
      'WITH fence': SHARDS,
      'WITH i': SHARDS,
      COMMIT: 1 + SHARDS,
      // The outbox, once: has the database refused some of them?
      'SELECT "target",': 1,
    });
    expect(tally(sent.scripts)).toEqual({
      'acquire-lease': 3 * SHARDS,
      finalize: 3 * SHARDS,
      claim: SHARDS,
      acknowledge: SHARDS,
      read: SHARDS,
      status: SHARDS,
    });
    expect((await fixture.counters.verify()).fixedCount).toBe(0);
  });

  test('one wrong target of 3,000: one batch in one shard', async () => {
    await spoil(ids.slice(5, 6));
    const sent = await meter.during(recalculate);
    expect(tally(sent.scripts)).toMatchObject({ claim: 1, acknowledge: 1, read: 1, status: 1 });
    expect(sent.sql.filter((sql) => sql.startsWith('COMMIT'))).toHaveLength(2);
  });

  test('three counters of the same rows: these are read once', async () => {
    const statements: string[] = [];
    const { subscribers } = fixture.dataSource;
    const listening = { beforeQuery: ({ query }: { query: string }) => void statements.push(query) };
    subscribers.push(listening);
    await fixture.counters.verify({ target: Author, ids: ids.slice(0, 1) });
    subscribers.splice(subscribers.indexOf(listening), 1);
    const recount = statements.filter((sql) => sql.includes('FROM public.post '));
    expect(recount).toHaveLength(1);
    expect(recount[0]?.split('FROM public.post ')).toHaveLength(2);
  });

  async function allIds(): Promise<number[]> {
    return (await fixture.dataSource.manager.find(Author, { select: { id: true } })).map(({ id }) => id);
  }
});

describe('what counters.read costs', () => {
  const SHARDS = 16;
  let fixture: Fixture;
  let ids: readonly number[];

  beforeAll(async () => {
    fixture = await open(SHARDS);
    ids = await saveAuthors(fixture, 1_000);
    await fixture.dataSource.manager.insert(
      Post,
      ids.slice(0, 500).map((authorId) => ({ authorId })),
    );
    await fixture.counters.settled();
    await fixture.counters.read(Author, ids[0] ?? 0, 'postsCount');
  });
  afterAll(() => close(fixture));

  test('one row: a look into Redis, one statement, a look again', async () => {
    const sent = await meter.during(async () => {
      expect(await fixture.counters.read(Author, ids[0] ?? 0, 'postsCount')).toBe(1);
    });
    expect(sent).toEqual({ sql: [expect.stringMatching(/^SELECT/)], scripts: ['read', 'read'], commands: [] });
  });

  test('1,000 rows: the same, in all shards at once', async () => {
    meter.take();
    const values = await fixture.counters.read(Author, ids, 'postsCount');
    const { mostInFlight } = meter;
    const sent = meter.take();
    expect([...values.values()].filter((value) => value === 1)).toHaveLength(500);
    expect(sent.sql).toHaveLength(1);
    expect(sent.scripts).toEqual(Array.from({ length: 2 * SHARDS }, () => 'read'));
    expect(mostInFlight).toBe(SHARDS);
  });
});
