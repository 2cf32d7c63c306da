import type { DataSource } from 'typeorm';

import { withConnection } from '../../../src/dialects/postgres/query';
import { besidePool, sideConnectionOf } from '../../../src/dialects/postgres/side-connection';
import { setup } from '../../support/setup';
import { Author, Post } from '../blog';

/** One call that has the connection beside the pool until it is released, and another that waits for it. */
async function occupy(dataSource: DataSource) {
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
  return { first, second, release };
}

test('what waits for the connection beside the pool while the DataSource is destroyed fails, and opens none', async () => {
  const fixture = await setup({ entities: [Author, Post] });
  const { dataSource } = fixture;
  const { first, second, release } = await occupy(dataSource);
  const failure = second.catch((error: unknown) => error);
  const destroyed = dataSource.destroy();
  expect(await failure).toMatchObject({ code: 'NOT_INITIALIZED' });
  release();
  await Promise.all([first.catch(() => undefined), destroyed]);
  await dataSource.initialize();
  expect(
    await besidePool('always', () => withConnection(dataSource, (runner) => runner.query('SELECT 3 AS n'))),
  ).toEqual([{ n: 3 }]);
  await fixture.close();
});

test('what waits for the connection beside the pool while that is closed gets another one', async () => {
  const fixture = await setup({ entities: [Author, Post] });
  const { dataSource } = fixture;
  const { first, second, release } = await occupy(dataSource);
  const closed = sideConnectionOf(dataSource).close();
  expect(await second).toEqual([{ number: 2 }]);
  release();
  await Promise.all([first, closed]);
  await fixture.close();
});
