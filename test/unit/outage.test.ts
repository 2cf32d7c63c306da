import { CounterCacheError } from '../../src/errors';
import { Flood } from '../../src/flood';
import { Outage } from '../../src/outage';

function open(quiet?: number): { outage: Outage; told: unknown[]; clock: { now: number } } {
  const [told, clock] = [[] as unknown[], { now: 0 }];
  const options = { now: () => clock.now, ...(quiet === undefined ? {} : { quiet }) };
  return { outage: new Outage((error) => told.push(error), options), told, clock };
}

describe('an outage', () => {
  it('is told once, however often the same fails', () => {
    const { outage, told } = open();
    for (let i = 0; i < 4_000; i++) outage.failed(new Error(`no answer to call ${i}`));
    expect(told.map(String)).toEqual(['Error: no answer to call 0']);
  });

  it('is over with the first success, and the next one is told again', () => {
    const { outage, told } = open();
    for (let i = 0; i < 3; i++) {
      outage.failed(new Error('no answer'));
      outage.succeeded();
    }
    expect(told).toHaveLength(3);
  });

  it('is over when every source that failed has succeeded', () => {
    const { outage, told } = open();
    for (const source of ['a', 'b']) outage.failed(new Error('no answer'), { source });
    outage.succeeded('a');
    outage.succeeded('c');
    outage.failed(new Error('no answer'), { source: 'a' });
    expect(told).toHaveLength(1);
    for (const source of ['a', 'b']) outage.succeeded(source);
    outage.failed(new Error('no answer'), { source: 'b' });
    expect(told).toHaveLength(2);
  });

  it('is over after a time without failures, where there are no successes', () => {
    const { outage, told, clock } = open(30_000);
    for (; clock.now < 300_000; clock.now += 20_000) outage.failed(new Error('no answer'));
    expect(told).toHaveLength(1);
    clock.now += 30_001;
    outage.failed(new Error('no answer'));
    expect(told).toHaveLength(2);
  });

  it('tells each kind once, and of many kinds the first, with a summary', () => {
    const { outage, told } = open();
    const letters = 'a b c d e f g h i j k l m n o p'.split(' ');
    for (const letter of [...letters, ...letters]) outage.failed(new Error(letter.repeat(1_000)));
    expect(told).toHaveLength(11);
    expect(told.at(-1)).toBeInstanceOf(CounterCacheError);
  });

  it('takes anything that is thrown', () => {
    const { outage, told } = open();
    const thrown = [undefined, null, 'text', Symbol('s'), { a: 1 }];
    for (const error of thrown) outage.failed(error);
    expect(told).toEqual(thrown);
  });
});

test('a flood of one kind of errors is let through in part, and keeps nothing of others from being told', () => {
  const flood = new Flood();
  const errors = Array.from({ length: 20_000 }, (_, i) => new Error(`error ${i}`));
  expect(errors.filter((error) => flood.lets(error))).toHaveLength(20);
  expect(flood.lets(new TypeError('another'))).toBe(true);
});
