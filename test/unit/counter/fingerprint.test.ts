import { IsNull, MoreThan } from 'typeorm';

import { defineCounterCache } from '../../../src/declare/decorator';
import type { CounterColumn } from '../../../src/model/definition';
import { fingerprintOf, sourceTablesOf } from '../../../src/model/fingerprint';
import { blog, definitionsOf } from './blog';

type Declared = Record<string, unknown>;

const BASE: Declared = { relation: 'author', column: 'postsCount' };

/** The fingerprint of `User.postsCount`, fed by these counters of `Post`. */
async function fingerprint(...counters: Declared[]): Promise<string> {
  const { Post, entities } = blog();
  for (const counter of counters) defineCounterCache(Post, { ...BASE, ...counter } as never);
  return fingerprintOf(await columnOf(entities));
}

async function columnOf(entities: Parameters<typeof definitionsOf>[0]): Promise<CounterColumn> {
  const { targetTables } = await definitionsOf(entities);
  const columns = [...targetTables.values()].flatMap((targetTable) => [...targetTable.columns.values()]);
  const column = columns.find(({ property }) => property === 'postsCount');
  if (column === undefined) throw new Error('no counter of postsCount');
  return column;
}

const amounts = { one: () => 1, two: () => 2 };

test.each<[string, Declared, Declared]>([
  ['a condition that is added', {}, { where: { title: 'a' } }],
  ['another value of a condition', { where: { title: 'a' } }, { where: { title: 'b' } }],
  ['another operator', { where: { title: IsNull() } }, { where: { title: 'b' } }],
  ['another bound', { where: { views: MoreThan(1) } }, { where: { views: MoreThan(2) } }],
  ['another amount', {}, { incrementBy: 2 }],
  ['an amount by column', {}, { incrementBy: 'views' }],
  ['another source text of incrementBy', { incrementBy: amounts.one }, { incrementBy: amounts.two }],
  ['another source text of if', { if: () => true }, { if: () => false }],
  ['another way', {}, { relation: 'editor' }],
  ['soft-deleted rows', {}, { includeSoftDeleted: true }],
  ['a method', {}, { method: async () => 1 }],
  ['another source text of a method', { method: async () => 2 }, { method: async () => 1 }],
  [
    'another source text of column',
    { column: () => 'postsCount', columns: ['postsCount'] },
    { column: () => null, columns: ['postsCount'] },
  ],
])('%s changes it', async (_, before, after) => {
  expect(await fingerprint(after)).not.toBe(await fingerprint(before));
});

test.each<[string, Declared, Declared]>([
  ['a name', {}, { name: 'posts' }],
  ['a wait', {}, { wait: 5 }],
  ['touch', {}, { touch: true }],
  ['scheduling', {}, { recalculation: false }],
  ['how deltas are handed over', {}, { mode: 'outbox', flushAt: 5 }],
  ['another way to write the amount', { incrementBy: 1 }, { incrementBy: 1n }],
])('%s does not', async (_, before, after) => {
  expect(await fingerprint(after)).toBe(await fingerprint(before));
});

test('a second counter of the column changes it; the order of the two does not', async () => {
  const other = { relation: 'editor' };
  const both = await fingerprint({}, other);
  expect(both).not.toBe(await fingerprint({}));
  expect(await fingerprint(other, {})).toBe(both);
});

test('the source text of a method counts, also of one that is named', async () => {
  const named = { method: 'recount' };
  const before = await fingerprint(named);
  const { User, Post, entities } = blog();
  User.prototype.recount = () => Promise.resolve(2);
  defineCounterCache(Post, { ...BASE, ...named } as never);
  expect(await columnOf(entities).then(fingerprintOf)).not.toBe(before);
  expect(await fingerprint(named)).toBe(before);
});

test('the tables of a path are those of its source and of the intermediate rows', async () => {
  const { Comment, entities } = blog();
  defineCounterCache(Comment, { relation: 'post.author', column: 'postsCount' } as never);
  expect(sourceTablesOf(await columnOf(entities))).toEqual(['comment', 'post']);
});

test('a condition on the rows of a path changes it', async () => {
  const along = async (published: boolean): Promise<string> => {
    const { Comment, entities } = blog();
    const where = { post: { published } };
    defineCounterCache(Comment, { relation: 'post.author', column: 'postsCount', where } as never);
    return fingerprintOf(await columnOf(entities));
  };
  expect(await along(true)).not.toBe(await along(false));
  expect(await along(true)).toBe(await along(true));
});
