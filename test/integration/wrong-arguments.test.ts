import { BufferUnavailableError, closeOnSignal, ConfigurationError, Counters } from 'typeorm-counter-cache';

import { startRedis } from '../support/services';
import { type Fixture, setup } from '../support/setup';
import { Author, Post } from './blog';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await setup({ entities: [Author, Post] });
});
afterAll(() => fixture.close());

/** No entity. */
class Nobody {
  readonly id = 1;
}

/** As callers without types may call. */
function untyped(value: unknown): never {
  return value as never;
}

const CALLS: readonly (readonly [string, (counters: Counters) => unknown, string])[] = [
  ['attach without a DataSource', () => Counters.attach(untyped(undefined), {}), 'to be a DataSource, got: undefined'],
  ['startWorker with a number', (c) => c.startWorker(untyped(4)), 'expected an object, got: 4. Known: concurrency'],
  ['flush with null', (c) => c.flush(untyped(null)), 'expected an object, got: null. Known: target, ids'],
  ['flush with one id', (c) => c.flush(untyped({ target: Author, ids: 1 })), 'ids to be a list of keys, got: 1'],
  ['flush of no integer', (c) => c.flush({ target: Author, ids: ['abc'] }), 'to name id (integer), got: "abc"'],
  ['flush of no entity', (c) => c.flush({ target: Nobody }), 'got: function Nobody. Known: '],
  ['retryFailed with text', (c) => c.retryFailed(untyped('x')), 'expected an object, got: "x"'],
  ['read of nothing', (c) => c.read(Author, untyped(null), 'postsCount'), 'a key, or a list of keys, got: null'],
  ['read of a fraction', (c) => c.read(Author, 1.5, 'postsCount'), 'to name id (integer), got: 1.5'],
  ['read beyond integer', (c) => c.read(Author, [2 ** 31], 'postsCount'), 'to name id (integer), got: 2147483648'],
  [
    'recalculate of a number',
    (c) => c.recalculate(untyped({ counter: 4 })),
    'counter to be the name of a counter, or a list of names, got: 4',
  ],
  ['recalculate with one id', (c) => c.recalculate(untyped({ target: Author, ids: 1 })), 'list of keys, got: 1'],
  [
    'recalculate with progress',
    (c) => c.recalculate(untyped({ onProgress: 3 })),
    'onProgress to be a function, got: 3',
  ],
  ['recalculate with a signal', (c) => c.recalculate(untyped({ signal: {} })), 'signal to be an AbortSignal, got: an'],
  [
    'track without a manager',
    (c) => c.track(untyped(undefined), Post, {}, async () => 1),
    'an EntityManager of the DataSource of these counters, got: undefined',
  ],
  ['track without work', (c) => c.track(fixture.dataSource.manager, Post, {}, untyped(1)), 'to be a function, got: 1'],
  ['skip without work', (c) => c.skip(untyped(undefined)), 'to be a function, got: undefined'],
  ['an event that does not exist', (c) => c.on(untyped('reconcile'), () => 1), 'one of reconciled, recalculated'],
  ['a listener that is none', (c) => c.on('drift', untyped({})), "the listener of 'drift' to be a function"],
  ['closeOnSignal without work', () => closeOnSignal(untyped(3)), 'expected close to be a function, got: 3'],
];

test.each(CALLS)('%s is refused', async (_, call, message) => {
  const made = Promise.resolve().then(() => call(fixture.counters));
  await expect(made).rejects.toThrow(ConfigurationError);
  await expect(made).rejects.toThrow(message);
});

test('calls that need Redis say that it does not answer', async () => {
  const server = await startRedis();
  const away = await setup({ entities: [Author, Post], counters: { redis: server.url } });
  try {
    await server.stop();
    for (const call of [away.counters.status(), away.counters.read(Author, 1, 'postsCount')]) {
      await expect(call).rejects.toThrow(BufferUnavailableError);
      await expect(call).rejects.toThrow('Redis does not answer: ');
    }
  } finally {
    // What it holds cannot be asked any more.
    await away.close({ leakCheck: false });
  }
});
