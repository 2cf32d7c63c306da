import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { closeConnections, openConnections } from '../../src/engines/buffered/redis/connection';
import { RedisBuffer, type RedisConnections } from '../../src/engines/buffered/redis/redis-buffer';
import { shardKey } from '../../src/engines/buffered/redis/keys';
import { redisUrl } from '../support/redis';
import { startRedis } from '../support/services';
import { until } from '../support/until';
import { describeBuffer } from './buffer.contract';
import { Meter } from '../support/meter';
import { claimAll, CONSUME, delta, intent, LATE, pendingOf, recount, row, LEASE } from './buffer/harness';

const PREFIX = 'cc-contract';

let connections: RedisConnections;

beforeAll(async () => {
  connections = await openConnections(redisUrl(), { redisTimeout: 5_000, attachTimeout: 5_000 }, (error) => {
    throw error;
  });
});

afterAll(async () => {
  await closeConnections(connections);
});

function keysOf(installation: string): Promise<string[]> {
  return connections.worker.keys(`{${PREFIX}:${installation}:*`);
}

async function create(
  options: { readonly shards: number; readonly window: number },
  installation: string = randomUUID(),
) {
  const buffer = new RedisBuffer({ ...connections, prefix: PREFIX, installation, ...options, durableRedis: false });
  const cleanup = async (): Promise<void> => {
    const keys = await keysOf(installation);
    if (keys.length > 0) await connections.worker.del(...keys);
  };
  return { buffer, cleanup };
}

describeBuffer('RedisBuffer', (options) => create(options));

describe('the keys of RedisBuffer', () => {
  it('of two installations never meet', async () => {
    const one = await create({ shards: 1, window: 10 });
    const two = await create({ shards: 1, window: 10 });
    await one.buffer.add(0, intent('7', delta(row('a'), { posts: 1 })));
    expect(await two.buffer.status(0)).toMatchObject({ dirty: 0 });
    await one.cleanup();
    await two.cleanup();
  });

  it('are gone when nothing is pending, but for the epoch, the known tables and columns', async () => {
    const installation = randomUUID();
    const { buffer, cleanup } = await create({ shards: 1, window: 10 }, installation);
    const [a, b] = [row('a'), row('b')];
    await buffer.raiseEpoch(0, 1);
    for (const target of [a, b])
      await buffer.announce(
        0,
        intent(target, delta(target, { posts: 1, likes: 2 }, { touches: ['t'], recalculateIn: 0 })),
      );
    for (const target of [a, b]) await buffer.confirm(0, target);
    await buffer.add(0, intent('8', delta(a, { likes: -2 })));
    const batch = await claimAll(buffer);
    await buffer.acknowledge(0, batch.id, [{ target: a, failed: 'out of range' }]);
    await buffer.acquireLease(0, 'token', [a, b], LEASE);
    await buffer.add(0, intent('9', delta(a, { posts: 1 })));
    await buffer.finalize(0, 'token', LATE, [recount(a, { posts: 0 }), recount(b, { posts: 0 })], CONSUME);
    const { id } = await claimAll(buffer);
    await buffer.acknowledge(0, id, []);
    const left = (await keysOf(installation)).map((key) => key.split(':').at(-1));
    expect(new Set(left)).toEqual(new Set(['columns', 'tables', 'meta']));
    await cleanup();
  });
});

describe('writers that call in the same turn', () => {
  let meter: Meter;
  beforeEach(() => (meter = new Meter()));
  afterEach(() => meter.close());

  const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i + 1));
  const announceAll = (buffer: RedisBuffer, count: number): Promise<unknown> =>
    Promise.all(ids(count).map((id) => buffer.announce(0, intent(id, delta(row('a'), { posts: 1 })))));

  it('share one call per function and shard, and each is answered for itself', async () => {
    const { buffer, cleanup } = await create({ shards: 2, window: 10 });
    await announceAll(buffer, 50);
    expect(meter.take().scripts).toEqual(['announce']);
    const answers = await Promise.all([...ids(50), '51', '50'].map((id) => buffer.confirm(0, id)));
    expect(meter.take().scripts).toEqual(['confirm']);
    expect(answers.map(({ found }) => found)).toEqual([...ids(50).map(() => true), false, false]);
    expect(answers.flatMap(({ wakeUps }) => wakeUps)).toMatchObject([{ kind: 'reconcile', shard: 0 }]);
    await Promise.all([0, 1].map((shard) => buffer.add(shard, intent('52', delta(row('a'), { posts: 1 })))));
    expect(meter.take().scripts).toEqual(['add', 'add']);
    expect(await pendingOf(buffer, row('a'))).toEqual({ posts: 51n });
    await cleanup();
  });

  it('share no call of more than 100: Redis does nothing else meanwhile', async () => {
    const { buffer, cleanup } = await create({ shards: 1, window: 10 });
    await announceAll(buffer, 250);
    expect(meter.take().scripts).toEqual(['announce', 'announce', 'announce']);
    await Promise.all(ids(250).map((id) => buffer.discard(0, id)));
    expect(meter.take().scripts).toEqual(['discard', 'discard', 'discard']);
    expect(await buffer.status(0)).toMatchObject({ intents: 0, dirty: 0 });
    await cleanup();
  });
});

describe('writers that call while Redis does not answer', () => {
  it('are refused together, when the first of them has waited for the time limit; afterwards it goes on', async () => {
    const server = await startRedis();
    // Long enough that a busy machine is not taken for a second wait.
    const limits = { redisTimeout: 1_500, attachTimeout: 5_000 };
    const own = await openConnections(server.url, limits, () => undefined);
    const options = { prefix: PREFIX, installation: randomUUID(), shards: 1, window: 10, durableRedis: false };
    const buffer = new RedisBuffer({ ...own, ...options });
    await buffer.announce(0, intent('1', delta(row('a'), { posts: 1 })));
    server.pause();
    const since = performance.now();
    const first = buffer.announce(0, intent('2', delta(row('a'), { posts: 1 })));
    // The call before has come back to its caller a moment before the next round may begin.
    for (let turn = 0; turn < 2; turn++) await nextTurn();
    const second = buffer.announce(0, intent('3', delta(row('a'), { posts: 1 })));
    const outcomes = await Promise.allSettled([first, second]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    // Not twice: who came later does not begin to wait anew.
    expect(performance.now() - since).toBeLessThan(2 * limits.redisTimeout);
    server.resume();
    await until(async () => (await buffer.confirm(0, '1').catch(() => ({ found: false }))).found);
    expect(await buffer.confirm(0, '3')).toMatchObject({ found: false });
    await closeConnections(own);
    await server.stop();
  });

  it('are refused for themselves by an error of their own call', async () => {
    const installation = randomUUID();
    const { buffer, cleanup } = await create({ shards: 2, window: 10 }, installation);
    await connections.worker.set(shardKey(PREFIX, installation, 0, 'intents'), 'not a hash');
    const outcomes = await Promise.allSettled(
      [0, 1].map((shard) => buffer.announce(shard, intent('1', delta(row('a'), { posts: 1 })))),
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    await cleanup();
  });
});
