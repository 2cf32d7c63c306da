import { type Fixture, setup } from '../../support/setup';
import { Author, Post } from '../blog';
import { wrongAuthors } from '../outbox/outbox';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post] });
});
afterAll(() => fixture.close());
const expectExact = async () => {
  await fixture.counters.settled();
  await fixture.counters.flush();
  expect(await wrongAuthors(fixture)).toEqual([]);
};
beforeEach(async () => {
  await fixture.dataSource.query('TRUNCATE post, author');
});

/** [begin, savepoint, rollback to, end] : one post before the savepoint, one in it. */
test.each([
  ['BEGIN', 'SAVEPOINT étape', 'ROLLBACK TO SAVEPOINT étape', 'COMMIT'],
  ['BEGIN', 'SAVEPOINT 保存', 'ROLLBACK TO 保存', 'COMMIT'],
  ['BEGIN', 'SAVEPOINT a', 'ROLLBACK /* retry */ TO SAVEPOINT a', 'COMMIT'],
  ['BEGIN', 'SAVEPOINT a', 'ROLLBACK TO /* retry */ SAVEPOINT a', 'COMMIT'],
  ['BEGIN', 'SAVEPOINT /* x */ a', 'ROLLBACK TO a', 'COMMIT'],
  ['BEGIN', 'SAVEPOINT a', '/* a /* b */ c */ ROLLBACK TO a', 'COMMIT'],
  ['BEGIN', 'SAVEPOINT a', '; ROLLBACK TO a', 'COMMIT'],
  ['BEGIN', 'SAVEPOINT a', '-- x\rROLLBACK TO a', 'COMMIT'],
  ['BEGIN', 'SAVEPOINT U&"d\\0061t\\+000061"', 'ROLLBACK TO data', 'COMMIT'],
  ['BEGIN', `SAVEPOINT ${'x'.repeat(70)}`, `ROLLBACK TO ${'x'.repeat(63)}`, 'COMMIT'],
  ['BEGIN', 'SAVEPOINT a', 'ROLLBACK TO a', '/* a /* b */ c */ COMMIT'],
  ['BEGIN', 'SAVEPOINT a', 'ROLLBACK TO a', ';COMMIT'],
  ['BEGIN', 'SAVEPOINT a', 'ROLLBACK TO a', '-- done\rCOMMIT'],
  ['BEGIN', 'SAVEPOINT a', 'ROLLBACK TO a', 'commit work'],
  ['BEGIN', 'SAVEPOINT a', 'ROLLBACK TO a', '\f\v COMMIT;'],
  [';BEGIN', 'SAVEPOINT a', 'ROLLBACK TO a', 'end transaction'],
  ['start /* x */ transaction isolation level repeatable read', 'SAVEPOINT a', 'ROLLBACK TO a', 'END;'],
  ['start/**/transaction', 'SAVEPOINT a', 'ROLLBACK TO a', 'END;'],
])('%s / %s / %s / %s', async (begin, save, back, end) => {
  const { id } = await fixture.dataSource.manager.save(new Author());
  const runner = fixture.dataSource.createQueryRunner();
  await runner.query(begin);
  await runner.manager.insert(Post, { authorId: id });
  await runner.query(save);
  await runner.manager.insert(Post, { authorId: id });
  await runner.query(back);
  await runner.query(end);
  await runner.release();
  expect(await fixture.dataSource.manager.count(Post)).toBe(1);
  await expectExact();
});

test.each([
  ['COMMIT AND /* x */ CHAIN'],
  ['COMMIT/**/AND/**/CHAIN'],
  ['COMMIT -- no AND CHAIN here'],
  ['COMMIT /* not AND CHAIN */'],
])('%s', async (end) => {
  const { id } = await fixture.dataSource.manager.save(new Author());
  const runner = fixture.dataSource.createQueryRunner();
  await runner.query('BEGIN');
  await runner.manager.insert(Post, { authorId: id });
  await runner.query(end);
  await runner.manager.insert(Post, { authorId: id });
  await runner.query('ROLLBACK');
  await runner.release();
  await expectExact();
});
