import { type Fixture, setup } from '../../support/setup';
import { Author, Post } from '../blog';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post] });
});
afterAll(() => fixture.close());

/** A write that is taken for one outside a transaction would commit the caller's. */
test.each([
  [';BEGIN'],
  ['/* a /* b */ c */ BEGIN'],
  ['start /* x */ transaction'],
  ["SET lock_timeout = '5s'; BEGIN"],
  ['-- x\rBEGIN'],
  ['COMMIT; BEGIN'],
])('%s … ROLLBACK leaves nothing', async (begin) => {
  await fixture.dataSource.query('TRUNCATE post');
  const { id } = await fixture.dataSource.manager.save(new Author());
  const runner = fixture.dataSource.createQueryRunner();
  await runner.query(begin);
  await runner.query('INSERT INTO post(title, "authorId") VALUES ($1, $2)', ['raw', id]);
  await runner.manager.insert(Post, { authorId: id });
  await runner.query('ROLLBACK');
  await runner.release();
  expect(await fixture.dataSource.manager.count(Post)).toBe(0);
});
