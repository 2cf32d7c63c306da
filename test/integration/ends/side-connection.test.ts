import { withConnection } from '../../../src/sql/query';
import { besidePool, sideConnectionOf } from '../../../src/sql/side-connection';
import { setup } from '../../support/setup';
import { Author, Post } from '../blog';

test('what waits for the connection beside the pool while that is closed gets another one', async () => {
  const fixture = await setup({ entities: [Author, Post] });
  const { dataSource } = fixture;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let first = Promise.resolve();
  await new Promise<void>((taken) => {
    first = besidePool('always', () =>
      withConnection(dataSource, async (runner) => {
        await runner.query('SELECT 1');
        taken();
        await released;
      }),
    );
  });
  const second = besidePool('always', () =>
    withConnection(dataSource, (runner) => runner.query('SELECT 2 AS number') as Promise<unknown>),
  );
  // It waits by then.
  await new Promise((resolve) => setImmediate(resolve));
  const closed = sideConnectionOf(dataSource).close();
  expect(await second).toEqual([{ number: 2 }]);
  release();
  await Promise.all([first, closed]);
  await fixture.close();
});
