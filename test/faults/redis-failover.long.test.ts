import { Redis } from 'ioredis';

import { Author, Post } from '../integration/blog';
import { waitingRows, wrongAuthors } from '../integration/outbox/outbox';
import { type Proxy, startProxy } from '../support/proxy';
import { type RedisServer, startRedis } from '../support/services';
import { type Fixture, setup } from '../support/setup';
import { until } from '../support/until';

let primary: RedisServer;
let replica: RedisServer;
let proxy: Proxy;
let fixture: Fixture;
let events: string[];

beforeEach(async () => {
  primary = await startRedis();
  replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(primary.port)] });
  proxy = await startProxy({ host: '127.0.0.1', port: primary.port });
  const counters = { redis: `redis://127.0.0.1:${proxy.port}`, redisTimeout: 500, intentTimeout: 500 };
  fixture = await setup({ entities: [Author, Post], counters });
  events = [];
  fixture.counters.on('degraded', () => events.push('degraded')).on('recovered', () => events.push('recovered'));
  await fixture.dataSource.manager.save(Author, [{ name: 'a' }, { name: 'b' }, { name: 'c' }]);
});
afterEach(async () => {
  await fixture.close();
  await proxy.close();
  await Promise.all([primary.stop(), replica.stop()]);
});

async function command(server: RedisServer, ...[name, ...args]: [string, ...string[]]): Promise<unknown> {
  const client = new Redis(server.url);
  try {
    return await client.call(name, ...args);
  } finally {
    client.disconnect();
  }
}

async function write(rounds: number): Promise<void> {
  const { manager } = fixture.dataSource;
  for (let round = 0; round < rounds; round++) {
    const { id } = await manager.save(Post, { authorId: (round % 3) + 1, likes: round, published: true });
    await manager.update(Post, { id }, { authorId: ((round + 1) % 3) + 1 });
  }
}

/** The replica has everything that the primary has. */
async function isInSync(): Promise<boolean> {
  const [here, there] = await Promise.all([
    command(primary, 'INFO', 'replication'),
    command(replica, 'INFO', 'replication'),
  ]);
  const offset = (info: unknown, name: string) => new RegExp(`^${name}:(\\d+)`, 'm').exec(String(info))?.[1];
  const isUp = String(there).includes('master_link_status:up');
  return isUp && offset(here, 'master_repl_offset') === offset(there, 'slave_repl_offset');
}

async function expectRight(): Promise<void> {
  const { counters } = fixture;
  await counters.settled();
  await until(async () => {
    const { dirty, batches, intents } = await counters.status();
    return dirty + batches + intents + (await waitingRows(fixture)) === 0;
  });
  await until(async () => (await wrongAuthors(fixture)).length === 0);
  expect(await counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
}

test('a replica that is still read-only: no write fails, and once it is promoted all is right', async () => {
  await write(3);
  await fixture.counters.settled();
  await until(isInSync);
  proxy.redirect(replica.port);
  await write(6);
  expect(await waitingRows(fixture)).toBeGreaterThan(0);
  expect(events).toEqual(['degraded']);
  await command(replica, 'REPLICAOF', 'NO', 'ONE');
  await write(3);
  await fixture.counters.startWorker();
  await expectRight();
  await until(() => events.at(-1) === 'recovered');
});

test('a replica that was behind, under a worker: what was applied already is not counted twice in the end', async () => {
  await write(3);
  await fixture.counters.settled();
  await until(isInSync);
  // From here on the replica knows nothing: what it has pending is applied by the primary's worker.
  await command(replica, 'REPLICAOF', 'NO', 'ONE');
  const worker = await fixture.counters.startWorker();
  await expectRight();
  await write(3);
  await expectRight();
  await worker.close();
  proxy.redirect(replica.port);
  await until(() =>
    fixture.counters.status().then(
      ({ dirty }) => dirty > 0,
      () => false,
    ),
  );
  await write(2);
  await fixture.counters.startWorker();
  await until(() => fixture.errors.some((error) => (error as { code?: string }).code === 'BUFFER_LOST'));
  await expectRight();
});
