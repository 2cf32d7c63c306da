import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';

import { BufferUnavailableError, Counters } from 'typeorm-counter-cache';

import { CONSUMER_COMMANDS, PRODUCER_COMMANDS } from '../../../src/schedule/bullmq/permissions';
import { type RedisServer, startRedis } from '../../support/services';
import { type Fixture, newDataSource, setup, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { clientCount, documentedRule, setUser, withAdmin } from './redis-user';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

/** Counts posts by way of a worker, timers of this process running meanwhile. */
async function expectCounts({ dataSource, counters }: Fixture): Promise<void> {
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  await counters.startWorker();
  for (let posts = 1; posts <= 3; posts++) {
    await dataSource.manager.insert(Post, { authorId: id });
    await until(async () => (await dataSource.manager.findOneByOrFail(Author, { id })).postsCount === posts);
  }
  expect(await counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
}

/** What `attach` tells before anybody can listen is for the logger. */
const SILENT = { error: () => undefined };

async function open(url: string, options: NonNullable<Parameters<typeof setup>[0]['counters']> = {}): Promise<Fixture> {
  return setup({ entities: [Author, Post], counters: { redis: url, logger: SILENT, ...options } });
}

/** What `attach` says to a user; it must leave nothing behind. */
async function refusalOf(rule: readonly string[]): Promise<string> {
  const redis = await setUser(server, rule);
  const dataSource = newDataSource('postgres://127.0.0.1:1/none', [Author, Post]);
  const before = performance.now();
  const error: unknown = await Counters.attach(dataSource, { ...TEST_OPTIONS, redis }).catch(
    (thrown: unknown) => thrown,
  );
  expect(performance.now() - before).toBeLessThan(4_000);
  expect(error).toBeInstanceOf(BufferUnavailableError);
  await until(async () => (await clientCount(server)) === 0);
  const { message } = error as Error;
  expect(message).toContain(`127.0.0.1:${server.port}`);
  expect(message).not.toContain('s3cret');
  return message;
}

describe('a user of Redis', () => {
  it('may do no more than the documented rule says, and nothing else is tried', async () => {
    const fixture = await open(await setUser(server, documentedRule()));
    await withAdmin(server, (admin) => admin.call('ACL', 'LOG', 'RESET'));
    await expectCounts(fixture);
    expect(fixture.errors).toEqual([]);
    const log = (await withAdmin(server, (admin) => admin.call('ACL', 'LOG'))) as unknown[][];
    // BullMQ names its connections; ioredis says what it is. INFO is asked for, and done without.
    expect(log.map((entry) => entry[entry.indexOf('object') + 1]).filter((command) => command !== 'info')).toEqual([]);
    await fixture.close();
  });

  it.each([
    ['with INFO', ['+info', '+config|get'], 0],
    ['without INFO', [], 1],
  ] as const)('%s: attach says what is not noticed', async (_name, more, said) => {
    const told: unknown[] = [];
    const logger = { error: (_message: string, context?: object) => void told.push(context) };
    const fixture = await open(await setUser(server, [...documentedRule(), ...more]), { logger });
    expect(told).toHaveLength(said);
    expect(inspect(told, { depth: 9 })).not.toContain('s3cret');
    await fixture.close();
  });

  it.each([['-info'], ['-@dangerous']])('of all rights but %s: counts, and reports nothing', async (rule) => {
    const fixture = await open(await setUser(server, ['~*', '&*', '+@all', rule]));
    await expectCounts(fixture);
    expect(fixture.errors).toEqual([]);
    await fixture.close();
  });

  it.each([
    ['-evalsha', /EVALSHA/],
    ['-eval', /eval/],
    ['-hincrby', /HINCRBY/],
    ['-time', /TIME/],
    ['-xadd', /XADD/],
    ['-@sortedset', /ZADD.*ZREM/],
  ] as const)(
    'without %s is refused by attach, with what is missing and the rule that grants it',
    async (rule, missing) => {
      const message = await refusalOf([...documentedRule(), rule]);
      expect(message).toMatch(missing);
      const granted = documentedRule().filter((part) => !['resetkeys', 'resetchannels', '-@all'].includes(part));
      expect(message).toContain(granted.join(' '));
    },
  );

  it('without any right is refused by attach', async () => {
    expect(await refusalOf(['~*'])).toContain('ACL SETUSER');
  });

  it.each([
    ['ours', '~bull:*'],
    ["BullMQ's", '~{cc:*'],
  ])('without access to keys of %s is refused by attach', async (_name, keys) => {
    const rule = documentedRule().filter((part) => !part.startsWith('~'));
    expect(await refusalOf([keys, ...rule])).toContain('~{cc:* ~bull:cc-*');
  });

  it('who may not take jobs writes, and is refused by startWorker', async () => {
    const fixture = await open(await setUser(server, [...documentedRule(), '-bzpopmin']));
    const { dataSource, counters } = fixture;
    const { id } = await dataSource.manager.save(Author, { name: 'a' });
    await dataSource.manager.insert(Post, { authorId: id });
    await expect(counters.startWorker()).rejects.toThrow(/BZPOPMIN.*ACL SETUSER/);
    await counters.flush();
    expect((await dataSource.manager.findOneByOrFail(Author, { id })).postsCount).toBe(1);
    expect(fixture.errors).toEqual([]);
    await fixture.close();
  });

  it('who loses INFO after attach: the worker works, timers run, and it is reported once', async () => {
    const rule = ['~*', '&*', '+@all'];
    const fixture = await open(await setUser(server, rule));
    await setUser(server, [...rule, '-info']);
    await expectCounts(fixture);
    expect(fixture.errors.length).toBeLessThanOrEqual(1);
    await fixture.close();
  });
});

test('the commands that are asked for are those of the scripts of BullMQ', () => {
  const folder = join(dirname(require.resolve('bullmq')), 'scripts');
  const commandsOf = (scripts: readonly string[]): string[] => {
    const files = readdirSync(folder).filter((file) => scripts.some((script) => file.startsWith(`${script}-`)));
    const texts = files.filter((file) => file.endsWith('.js')).map((file) => readFileSync(join(folder, file), 'utf8'));
    const calls = [...texts.join('\n').matchAll(/(?:rcall|redis\.p?call)\(\s*["']([A-Za-z]+)["']/g)];
    return calls.map(([, command = '']) => command.toUpperCase());
  };
  expect(PRODUCER_COMMANDS).toEqual(expect.arrayContaining(commandsOf(['addStandardJob', 'addDelayedJob'])));
  const consuming = ['moveToActive', 'moveToFinished', 'moveStalledJobsToWait', 'extendLock', 'extendLocks'];
  const retrying = ['retryJob', 'moveToDelayed', 'saveStacktrace', 'releaseLock'];
  expect([...PRODUCER_COMMANDS, ...CONSUMER_COMMANDS]).toEqual(
    expect.arrayContaining(commandsOf([...consuming, ...retrying])),
  );
});
