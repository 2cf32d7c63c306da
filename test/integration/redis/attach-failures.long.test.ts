import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { inspect } from 'node:util';

import { BufferUnavailableError, Counters, type CountersOptions } from 'typeorm-counter-cache';

import { ended } from '../../faults/programs';
import { startChild } from '../../support/child';
import { createDatabase } from '../../support/database';
import { type RedisServer, startRedis } from '../../support/services';
import { newDataSource, TEST_OPTIONS } from '../../support/setup';
import { CERTIFICATE, startTlsProxy, type TlsProxy } from '../../support/tls-proxy';
import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { clientCount, setUser, withAdmin } from './redis-user';

let server: RedisServer;
let tls: TlsProxy;

beforeAll(async () => {
  server = await startRedis();
  tls = await startTlsProxy(server.port);
  await withAdmin(server, (admin) => admin.call('ACL', 'SETUSER', 'known', 'on', '>s3cret', '~*', '&*', '+@all'));
});
afterAll(async () => {
  await tls.close();
  await server.stop();
});

interface Refusal {
  readonly error: BufferUnavailableError;
  readonly took: number;
}

/** Attaches in vain; nothing of it is left, and nothing that can be printed has the password in it. */
async function attach(redis: CountersOptions['redis'], attachTimeout = 600): Promise<Refusal> {
  const dataSource = newDataSource('postgres://127.0.0.1:1/none', [Author, Post]);
  const before = performance.now();
  const error: unknown = await Counters.attach(dataSource, { ...TEST_OPTIONS, attachTimeout, redis }).then(
    (counters) => counters.close(),
    (thrown: unknown) => thrown,
  );
  const took = performance.now() - before;
  await until(async () => (await clientCount(server)) === 0);
  expect(error).toBeInstanceOf(BufferUnavailableError);
  expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('s3cret');
  return { error: error as BufferUnavailableError, took };
}

/** Long enough that only an answer can be the reason of a rejection before it. */
const LONG = 20_000;

describe('attach rejects at once, naming the server and the cause,', () => {
  const definite = (port: () => number): [string, () => CountersOptions['redis'], RegExp][] => [
    ['a wrong password', () => `redis://known:s3cret2@127.0.0.1:${port()}`, /WRONGPASS.*user and password/],
    ['a wrong password in options', () => ({ port: port(), username: 'known', password: 's3cret2' }), /WRONGPASS/],
    ['an unknown user', () => `redis://unknown:s3cret@127.0.0.1:${port()}`, /WRONGPASS/],
    ['a wrong database', () => `redis://127.0.0.1:${port()}/99`, /DB index is out of range.*index of the database/],
    ['a wrong database in options', () => ({ port: port(), db: 16 }), /DB index is out of range/],
  ];

  test.each(definite(() => server.port))('%s', async (_name, redis, reason) => {
    const { error, took } = await attach(redis(), LONG);
    expect(took).toBeLessThan(LONG / 4);
    expect(error.message).toMatch(new RegExp(`^Redis at (127\\.0\\.0\\.1|localhost):${server.port} refused: `));
    expect(error.message).toMatch(reason);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test('no password where one is needed', async () => {
    await withAdmin(server, (admin) => admin.call('ACL', 'SETUSER', 'default', '>s3cret', 'resetpass', '>s3cret'));
    const dataSource = newDataSource('postgres://127.0.0.1:1/none', [Author, Post]);
    const attaching = Counters.attach(dataSource, { ...TEST_OPTIONS, attachTimeout: LONG, redis: server.url });
    await expect(attaching).rejects.toThrow(/NOAUTH.*user and password/);
    const { Redis } = await import('ioredis');
    const admin = new Redis(`redis://:s3cret@127.0.0.1:${server.port}`);
    await admin.call('ACL', 'SETUSER', 'default', 'nopass');
    admin.disconnect();
    await until(async () => (await clientCount(server)) === 0);
  });

  test('a certificate that is not trusted', async () => {
    const { error, took } = await attach(`rediss://127.0.0.1:${tls.port}`, LONG);
    expect(took).toBeLessThan(LONG / 4);
    expect(error.message).toMatch(
      new RegExp(`127\\.0\\.0\\.1:${tls.port} refused: .*self-signed certificate.*tls: { ca }`),
    );
    expect(error.cause).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  });

  test('a certificate of another name', async () => {
    const given = { host: '127.0.0.1', port: tls.port, tls: { ca: CERTIFICATE, servername: 'elsewhere' } };
    const { error } = await attach(given, LONG);
    expect(error.cause).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });
});

describe('attach rejects after attachTimeout, with the last error as the cause,', () => {
  test('a port where nobody listens', async () => {
    const { error, took } = await attach('redis://known:s3cret@127.0.0.1:1');
    expect(took).toBeGreaterThan(590);
    expect(error.message).toMatch(/^Redis at 127\.0\.0\.1:1 did not answer within 600 ms: .*ECONNREFUSED/);
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('a name of several addresses where nobody listens', async () => {
    const { error } = await attach({ host: 'localhost', port: 1 });
    expect(error.message).toMatch(/ECONNREFUSED.*:1/);
    expect(error.cause).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('a host that does not exist', async () => {
    const { error } = await attach('redis://known:s3cret@no-such-host.invalid:6379', 2_000);
    expect(error.message).toMatch(
      /^Redis at no-such-host\.invalid:6379 did not answer within 2000 ms: .*(ENOTFOUND|EAI_AGAIN)/,
    );
    expect(error.cause).toMatchObject({ syscall: 'getaddrinfo' });
  });

  test('a path where no socket is', async () => {
    const { error } = await attach('/nowhere/redis.sock');
    expect(error.message).toMatch(/^Redis at \/nowhere\/redis\.sock did not answer .*ENOENT/);
  });

  test('Sentinels that cannot be reached', async () => {
    const { error } = await attach({ sentinels: [{ host: '127.0.0.1', port: 1 }], name: 'primary' }, 1_500);
    expect(error.message).toContain('Redis at primary of Sentinel 127.0.0.1:1 did not answer within 1500 ms');
  });

  test('TLS asked of a port without', async () => {
    const { error } = await attach(`rediss://127.0.0.1:${server.port}`);
    expect(error.message).toMatch(/TLS|wrong version number|EPROTO|ECONNRESET/);
    expect(error.message).toContain(`127.0.0.1:${server.port}`);
  });

  test('TLS asked of a port that says nothing', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const { error } = await attach(`rediss://127.0.0.1:${port}`);
    expect(error.message).toContain('the connection is open, but TLS is not answered. Is it a port without TLS?');
    silent.close();
  });

  test('no TLS at a port with it', async () => {
    const { error } = await attach(`redis://127.0.0.1:${tls.port}`);
    expect(error.message).toMatch(/closes them without a word. Is it a port with TLS\?|ECONNRESET/);
  });
});

test('with the certificate trusted, and whatever the case of the scheme, TLS works', async () => {
  const { message } = await attach(`REDISS://127.0.0.1:${tls.port}`, LONG).then(({ error }) => error);
  expect(message).toContain('self-signed');
  const dataSource = newDataSource('postgres://127.0.0.1:1/none', [Author, Post]);
  const counters = await Counters.attach(dataSource, {
    ...TEST_OPTIONS,
    redis: { host: '127.0.0.1', port: tls.port, tls: { ca: CERTIFICATE } },
  });
  await counters.close();
  await until(async () => (await clientCount(server)) === 0);
});

describe('a process whose attach failed ends by itself', () => {
  test.each([
    ['a wrong password', () => `redis://known:s3cret2@127.0.0.1:${server.port}`],
    ['nobody there', () => 'redis://127.0.0.1:1'],
    ['TLS that is not answered', () => `rediss://127.0.0.1:${server.port}`],
    ['a user without rights', () => `redis://weak:s3cret@127.0.0.1:${server.port}`],
  ])('%s', async (_name, redis) => {
    await setUser(server, ['~*', '-@all', '+@connection'], 'weak');
    const database = await createDatabase();
    const program = startChild(join(__dirname, '..', 'refused-program.ts'), {
      PROGRAM_DATABASE: database.url,
      PROGRAM_REDIS: redis(),
    });
    expect(await ended(program)).toBe('0');
    await until(async () => (await clientCount(server)) === 0);
    await database.drop();
  });
});

test('an attach that fails when Redis had answered leaves no connection either', async () => {
  const dataSource = newDataSource('postgres://127.0.0.1:1/none', [Author, Post]);
  const options = { ...TEST_OPTIONS, redis: server.url };
  const counters = await Counters.attach(dataSource, options);
  const before = await clientCount(server);
  await expect(Counters.attach(dataSource, options)).rejects.toThrow('has counters already');
  await until(async () => (await clientCount(server)) === before);
  await counters.close();
  await until(async () => (await clientCount(server)) === 0);
});
