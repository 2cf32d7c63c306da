import { EventEmitter } from 'node:events';
import { inspect } from 'node:util';

import { describe as render, mask, quote } from '../../src/describe';
import { redact } from '../../src/redact';

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** Its constructor cannot be asked for. */
const HOSTILE: object = Object.create({
  get constructor() {
    throw new Error('no');
  },
}) as object;

function named(name: string): object {
  const made = class extends EventEmitter {};
  Object.defineProperty(made, 'name', { value: name });
  return new made();
}

/** A class with a static property of that name. */
function numbered(): object {
  const made = class extends EventEmitter {};
  Object.defineProperty(made, 'name', { value: 5 });
  return made;
}

describe('a value in a message', () => {
  it.each<[string, unknown, string]>([
    ['text', 'a', '"a"'],
    ['text with quotes', 'a"b\\', String.raw`"a\"b\\"`],
    [
      'line breaks and control characters',
      'a\r\n\u001b[31m\u2028\u202e\u0000',
      String.raw`"a\r\n\u001b[31m\u2028\u202e\u0000"`,
    ],
    ['a long text', 'x'.repeat(3_000_000), `"${'x'.repeat(80)}…"`],
    ['a URL', 'redis://user:s3cret@host:1', '"redis://***@host:1"'],
    ['a URL with a long password', `redis://user:${'s'.repeat(5_000)}@host:1`, '"redis://***@…"'],
    ['a URL without its scheme', 'user:s3cret@host', '"user:***@host"'],
    ['a symbol', Symbol('a\nb'), String.raw`Symbol(a\nb)`],
    ['a bigint', 5n, '5n'],
    ['a large bigint', 10n ** 100_000n, 'a bigint of more than 80 digits'],
    ['null', null, 'null'],
    ['undefined', undefined, 'undefined'],
    ['a list', [1, 'a', [2, [3]]], '[1, "a", [2, a list of 1]]'],
    ['a long list', Array.from({ length: 1_000_000 }, (_, i) => i), '[0, 1, 2, 3, 4, … 999995 more]'],
    ['an object', { a: 1 }, 'an object'],
    ['an object without a prototype', Object.create(null), 'an object'],
    ['an instance', new Map(), 'a Map'],
    ['an instance of a class with a long name', named(`A${'b'.repeat(1_000)}`), `a A${'b'.repeat(79)}…`],
    ['a class whose name is a number', numbered(), 'a function'],
    ['a revoked proxy', revoked(), 'an object that cannot be looked at'],
    ['a list that holds one', [revoked()], 'an object that cannot be looked at'],
    ['an object whose getters throw', HOSTILE, 'an object that cannot be looked at'],
  ])('%s', (_name, value, rendered) => {
    expect(render(value)).toBe(rendered);
  });

  it('is one line, bounded, within a list that holds itself', () => {
    const list: unknown[] = ['a\nb'.repeat(1_000)];
    for (let i = 0; i < 10; i++) list.push(list);
    expect(render(list)).toMatch(/^.{1,2000}$/);
  });
});

test('a name in a message is quoted, of one line and bounded', () => {
  expect(quote("it's\n")).toBe(String.raw`'it\'s\n'`);
  expect(quote('x'.repeat(3_000_000))).toHaveLength(83);
});

test('credentials are masked within other text', () => {
  expect(mask('cannot reach rediss://a:b@c and redis://:d@e:1/2')).toBe(
    'cannot reach rediss://***@c and redis://***@e:1/2',
  );
});

describe('an error that is passed on', () => {
  it('has no arguments of the command, nor credentials', () => {
    const cause = Object.assign(new Error('WRONGPASS'), { command: { name: 'auth', args: ['user', 's3cret'] } });
    const url = Object.assign(new TypeError('Invalid URL'), { input: 'redis://user:s3cret@host:x' });
    const error = new Error('cannot connect to redis://user:s3cret@host', { cause: new AggregateError([cause, url]) });
    expect(inspect(redact(error), { depth: 9 })).not.toContain('s3cret');
    expect(cause).toMatchObject({ command: { name: 'auth' } });
  });

  it.each([undefined, null, 'text', Object.freeze(new Error('redis://a:b@c')), revoked()])(
    'may be anything',
    (error) => {
      expect(redact(error)).toBe(error);
    },
  );
});
