import { isIP } from 'node:net';

import { describe, quote } from './describe';
import { FOREIGN_NAMES, REDIS_OPTION_NAMES, SENTINEL_NAMES, TLS_OPTION_NAMES } from './redis-option-names';
import { didYouMean } from './suggest';

type Fields = Readonly<Record<string, unknown>>;

const EXPECTED = "expected 'redis' to be an ioredis client, options or a URL";

/** Of a text that may hold a password, nothing is shown that does not look like this. */
const HARMLESS = /^([a-z][a-z0-9+.-]*:\/\/[\w.-]+(:\d{1,5})?|[\w.-]+:\d{1,5})(\/\d{0,3})?$/i;

/**
 * Finds mistakes in the `redis` option. No message ever has the value of a text in it that may be a password.
 *
 * @returns what is wrong, each with its remedy
 */
export function checkRedis(redis: unknown): readonly string[] {
  if (typeof redis === 'string') return checkUrl(redis);
  if (!isObject(redis)) return [`${EXPECTED}, got: ${shapeOf(redis)}`];
  if (isCluster(redis)) return [CLUSTER];
  if (isRedisClient(redis)) return hasKeyPrefix(redis['options']) ? [KEY_PREFIX] : [];
  if (typeof redis['then'] === 'function')
    return [`${EXPECTED}, got: a Promise. Await it first: redis: await yourClient`];
  if (redis instanceof URL) return [`${EXPECTED}, got: a URL object. Give its text: redis: url.href`];
  const keys = Object.keys(redis);
  const isForeign = typeof redis['sendCommand'] === 'function' || (keys.length === 0 && !isPlain(redis));
  if (isForeign) return [`${EXPECTED}, got: ${shapeOf(redis)}. Clients of other libraries cannot be used`];
  return checkOptions(redis);
}

/** Whether it is a client of ioredis, of whichever release, rather than its options. */
export function isRedisClient(redis: object): boolean {
  const { duplicate, defineCommand, options } = redis as Fields;
  return typeof duplicate === 'function' && typeof defineCommand === 'function' && isObject(options);
}

const CLUSTER =
  "expected 'redis' to be a client of one server, got: a Cluster, which is not supported yet. Connect to one server, or to a primary through Sentinel";

const KEY_PREFIX =
  "expected 'redis' to have no 'keyPrefix', got one: BullMQ's scripts build their own keys, and would corrupt them. Remove it, and set 'prefix' instead";

function isCluster(redis: Fields): boolean {
  return redis['isCluster'] === true;
}

function hasKeyPrefix(options: unknown): boolean {
  const keyPrefix = isObject(options) ? options['keyPrefix'] : undefined;
  return keyPrefix !== undefined && keyPrefix !== null && keyPrefix !== '';
}

function checkUrl(text: string): readonly string[] {
  if (text === '') return [`${EXPECTED}, got: ""`];
  if (text.startsWith('/')) return checkQuery(text.split('?')[1] ?? '');
  if (!/^rediss?:\/\//i.test(text)) {
    const shown = HARMLESS.test(text) ? describe(text) : 'another text, which may hold a password and is not shown';
    return [
      `expected the URL 'redis' to begin with redis:// or rediss:// (or to be the path of a socket), got: ${shown}`,
    ];
  }
  const url = parse(text);
  if (url === null) return [MALFORMED];
  return [...checkDatabase(url), ...checkQuery(url.search.slice(1))];
}

const MALFORMED =
  "expected the URL 'redis' to be redis://user:password@host:port/database, got another text, which may hold a password and is not shown. Percent-encode what is special in user and password: encodeURIComponent()";

/** `null` when it cannot be parsed, or is something else than was meant: an `@` behind the host is one of the password. */
function parse(text: string): URL | null {
  try {
    const url = new URL(text);
    decodeURIComponent(`${url.username}${url.password}`);
    return /@/.test(`${url.pathname}${url.search}${url.hash}`) || url.hash !== '' ? null : url;
  } catch {
    return null;
  }
}

function checkDatabase({ pathname }: URL): readonly string[] {
  const database = pathname.slice(1);
  if (/^\d*$/.test(database)) return [];
  return ["expected the URL 'redis' to end with the index of a database, as in redis://host:6379/0, got another path"];
}

/** ioredis takes options from the query of a URL, too. */
function checkQuery(query: string): readonly string[] {
  const options = Object.fromEntries(new URLSearchParams(query));
  if (hasKeyPrefix(options)) return [KEY_PREFIX];
  return Object.keys(options).flatMap((key) => checkName(key, '?'));
}

function checkOptions(options: Fields): readonly string[] {
  if (hasKeyPrefix(options)) return [KEY_PREFIX];
  const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== null);
  return [
    ...Object.keys(options).flatMap((key) => checkName(key, 'redis.')),
    ...given.flatMap(([key, value]) => checkValue(key, value)),
  ];
}

function checkName(key: string, prefix: string): readonly string[] {
  if (REDIS_OPTION_NAMES.includes(key)) return [];
  const advice = Object.hasOwn(FOREIGN_NAMES, key)
    ? `: ${FOREIGN_NAMES[key] ?? ''}`
    : didYouMean(key, REDIS_OPTION_NAMES);
  return [`unknown option ${quote(`${prefix}${key}`)}${advice || ', which ioredis does not have'}`];
}

/** What is checked of values: a wrong one would be the default, or a part of a host name, without a word. */
function checkValue(key: string, value: unknown): readonly string[] {
  const refuse = (expected: string): readonly string[] => [
    `expected 'redis.${key}' to be ${expected}, got: ${typeof value === 'string' ? 'another text' : describe(value)}`,
  ];
  switch (key) {
    case 'host':
      return isHost(value) ? [] : refuse("the name or address of a host alone. For a URL write redis: 'redis://…'");
    case 'port':
      return isWholeNumber(value, 65_535) && Number(value) > 0 ? [] : refuse('a port from 1 to 65535');
    case 'db':
      return isWholeNumber(value, Number.MAX_SAFE_INTEGER) ? [] : refuse('the index of a database, 0 or more');
    case 'username':
    case 'password':
    case 'path':
    case 'name':
      return typeof value === 'string' ? [] : [`expected 'redis.${key}' to be a text, got: ${shapeOf(value)}`];
    case 'tls':
    case 'sentinelTLS':
      return checkTls(key, value);
    case 'sentinels':
      return checkSentinels(value);
    default:
      return [];
  }
}

function isHost(value: unknown): boolean {
  if (typeof value !== 'string' || value === '') return false;
  return !/[\s/@:]/.test(value) || isIP(value) !== 0;
}

function isWholeNumber(value: unknown, max: number): boolean {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 && number <= max;
}

/** A name that is like none may be one of a newer Node. */
function checkTls(name: string, tls: unknown): readonly string[] {
  // ioredis takes true, and the name of a profile, as well.
  if (typeof tls === 'boolean' || typeof tls === 'string') return [];
  if (!isObject(tls))
    return [`expected 'redis.${name}' to be an object of options of tls.connect(), got: ${shapeOf(tls)}`];
  return Object.keys(tls)
    .filter((key) => !TLS_OPTION_NAMES.includes(key))
    .map((key) => ({ key, advice: didYouMean(key, TLS_OPTION_NAMES) }))
    .filter(({ advice }) => advice !== '')
    .map(({ key, advice }) => `unknown option ${quote(`redis.${name}.${key}`)}${advice}`);
}

function checkSentinels(sentinels: unknown): readonly string[] {
  const expected = "expected 'redis.sentinels' to be a list of { host, port }";
  if (!Array.isArray(sentinels) || sentinels.length === 0) return [`${expected}, got: ${shapeOf(sentinels)}`];
  return (sentinels as readonly unknown[]).flatMap((sentinel) => {
    if (!isObject(sentinel)) return [`${expected}, got an item: ${shapeOf(sentinel)}`];
    const unknown = Object.keys(sentinel).filter((key) => !SENTINEL_NAMES.includes(key));
    return unknown.map(
      (key) => `unknown option ${quote(`redis.sentinels[].${key}`)}${didYouMean(key, SENTINEL_NAMES)}`,
    );
  });
}

/** What something is, without a value that may be a password. */
function shapeOf(value: unknown): string {
  if (typeof value === 'string') return 'a text';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return describe(value);
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
