import { Client } from 'pg';
import type { EntitySubscriberInterface } from 'typeorm';

import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';
import { Author, Post, TRUTH } from './blog';

/** What happened at the driver, in order: `>` a statement was given to it, `<` one was answered, `!` one failed. */
let log: string[] = [];
let sabotage: ((text: string) => string) | null = null;
/** As in a release of `pg` that cannot send ahead. */
let isOld = false;

// Before the library wraps it.
const prototype = Client.prototype as unknown as { query: (this: object, ...args: unknown[]) => Promise<unknown> };
const { query } = prototype;
prototype.query = function (this: { pipeline?: boolean }, first, ...rest) {
  if (isOld) delete this.pipeline;
  const { text, ...config } = typeof first === 'string' ? { text: first } : (first as { text: string });
  const word = text.split(' ')[0] ?? '';
  log.push(`> ${word}`);
  const answer = query.call(this, { ...config, text: sabotage?.(text) ?? text }, ...rest);
  answer.then(
    () => log.push(`< ${word}`),
    () => log.push(`! ${word}`),
  );
  return answer;
};

let fixture: Fixture;
let authorId: number;
beforeEach(async () => {
  fixture = await setup({ entities: [Author, Post], worker: true, dataSource: { poolSize: 8 } });
  ({ id: authorId } = await fixture.dataSource.manager.save(Author, { name: 'a' }));
  await fixture.dataSource.manager.insert(Post, { authorId });
  await fixture.counters.settled();
});
afterEach(async () => {
  sabotage = null;
  isOld = false;
  await fixture.close();
});

/** What happened for one insert; what the worker does meanwhile is left out. */
async function during(work: () => Promise<unknown>): Promise<string[]> {
  const WORDS = new Set(['START', 'INSERT', 'COMMIT', 'ROLLBACK']);
  log = [];
  await work();
  return log.filter((entry) => WORDS.has(entry.slice(2)));
}

async function expectPosts(posts: number): Promise<void> {
  const { dataSource } = fixture;
  await until(async () => {
    const [row] = await dataSource.query<Record<string, number>[]>(TRUTH);
    return row?.['posts'] === posts && row['postsCount'] === posts;
  });
}

const insert = () => fixture.dataSource.manager.insert(Post, { authorId });

test('an insert by itself does not wait for its BEGIN', async () => {
  expect(await during(insert)).toEqual(['> START', '> INSERT', '< START', '< INSERT', '> COMMIT', '< COMMIT']);
  await expectPosts(2);
  expect(fixture.errors).toEqual([]);
});

test('but where the driver cannot send it before', async () => {
  isOld = true;
  // Every connection of the pool is looked at once.
  await Promise.all(Array.from({ length: 8 }, () => fixture.dataSource.query('SELECT pg_sleep(0.05)')));
  expect(await during(insert)).toEqual(['> START', '< START', '> INSERT', '< INSERT', '> COMMIT', '< COMMIT']);
  await expectPosts(2);
});

test('many at a time', async () => {
  await Promise.all(Array.from({ length: 100 }, insert));
  await expectPosts(101);
  expect(fixture.errors).toEqual([]);
});

test('one that fails is rolled back, and leaves its connection as it was', async () => {
  const failing = () =>
    expect(fixture.dataSource.manager.insert(Post, { authorId: -1 })).rejects.toMatchObject({ code: '23503' });
  expect(await during(failing)).toEqual(['> START', '> INSERT', '< START', '! INSERT', '> ROLLBACK', '< ROLLBACK']);
  await Promise.all(Array.from({ length: 20 }, insert));
  await expectPosts(21);
});

test('one whose BEGIN fails has committed by itself: its target is recalculated', async () => {
  sabotage = (text) => (text === 'START TRANSACTION' ? 'START TRANSACTIONS' : text);
  expect(await during(insert)).toEqual(['> START', '> INSERT', '! START', '< INSERT']);
  sabotage = null;
  await expectPosts(2);
});

test('one whose BEGIN is refused is not sent', async () => {
  const refusing: EntitySubscriberInterface = {
    beforeQuery({ query: sql }) {
      if (sql === 'START TRANSACTION') throw new Error('refused');
    },
  };
  fixture.dataSource.subscribers.push(refusing);
  const refused = () => expect(insert()).rejects.toThrow('refused');
  expect((await during(refused)).filter((entry) => entry !== '> ROLLBACK' && entry !== '< ROLLBACK')).toEqual([]);
  fixture.dataSource.subscribers.splice(fixture.dataSource.subscribers.indexOf(refusing), 1);
  await insert();
  await expectPosts(2);
});

test('a subscriber that keeps BEGIN waiting keeps its statement waiting', async () => {
  const slow: EntitySubscriberInterface = {
    async beforeQuery({ query: sql }) {
      if (sql === 'START TRANSACTION') await fixture.dataSource.query('SELECT 1');
    },
  };
  fixture.dataSource.subscribers.push(slow);
  expect(await during(insert)).toEqual(['> START', '> INSERT', '< START', '< INSERT', '> COMMIT', '< COMMIT']);
  await expectPosts(2);
});
