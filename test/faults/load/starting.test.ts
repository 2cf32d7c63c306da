import { Redis } from 'ioredis';

import { Author, Post } from '../../integration/blog';
import { type RedisServer, startRedis } from '../../support/services';
import { setup } from '../../support/setup';
import { until } from '../../support/until';

const KEYS = 4_000;

/** Makes loading take a while, µs per key, and lets the server answer meanwhile. */
const SLOW = ['--key-load-delay', '500', '--loading-process-events-interval-bytes', '1024'];

let server: RedisServer;

beforeEach(async () => {
  server = await startRedis({ args: SLOW });
});
afterEach(() => server.stop());

async function fill(): Promise<void> {
  const client = new Redis(server.url);
  await client.mset(Array.from({ length: KEYS }, (_, i) => [`key-${i}`, 'x'.repeat(50)]).flat());
  await client.quit();
}

async function isLoading(client: Redis): Promise<boolean> {
  const answer = await client.ping().catch(String);
  return answer.includes('LOADING');
}

test('a process that starts while Redis loads its data waits for it', async () => {
  await fill();
  await server.save();
  await server.kill();
  const restarting = server.restart({ keepData: true });
  const client = new Redis(server.url, { enableReadyCheck: false });
  client.on('error', () => undefined);
  await until(() => isLoading(client));
  const fixture = await setup({ entities: [Author, Post], counters: { redis: server.url }, worker: true });
  await restarting;
  const { id } = await fixture.dataSource.manager.save(Author, { name: 'a' });
  await fixture.dataSource.manager.insert(Post, { authorId: id });
  await fixture.counters.flush();
  expect(await fixture.dataSource.manager.findOneBy(Author, { id })).toMatchObject({ postsCount: 1 });
  expect(fixture.errors).toEqual([]);
  client.disconnect();
  await fixture.close();
});
