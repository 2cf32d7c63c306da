import { CounterCacheError } from '../../src/errors';
import { Events } from '../../src/events';
import { Outage } from '../../src/outage';

function open(quiet?: number): { outage: Outage; reported: unknown[]; clock: { now: number } } {
  const [reported, clock] = [[] as unknown[], { now: 0 }];
  const options = { now: () => clock.now, ...(quiet === undefined ? {} : { quiet }) };
  return { outage: new Outage((error) => reported.push(error), options), reported, clock };
}

describe('an outage', () => {
  it('is reported once, however often the same fails', () => {
    const { outage, reported } = open();
    for (let i = 0; i < 4_000; i++) outage.failed(new Error(`no answer to call ${i}`));
    expect(reported.map(String)).toEqual(['Error: no answer to call 0']);
  });

  it('is over with the first success, and the next one is reported again', () => {
    const { outage, reported } = open();
    for (let i = 0; i < 3; i++) {
      outage.failed(new Error('no answer'));
      outage.succeeded();
    }
    expect(reported).toHaveLength(3);
  });

  it('is over when every source that failed has succeeded', () => {
    const { outage, reported } = open();
    for (const source of ['a', 'b']) outage.failed(new Error('no answer'), { source });
    outage.succeeded('a');
    outage.succeeded('c');
    outage.failed(new Error('no answer'), { source: 'a' });
    expect(reported).toHaveLength(1);
    for (const source of ['a', 'b']) outage.succeeded(source);
    outage.failed(new Error('no answer'), { source: 'b' });
    expect(reported).toHaveLength(2);
  });

  it('is over after a time without failures, where there are no successes', () => {
    const { outage, reported, clock } = open(30_000);
    for (; clock.now < 300_000; clock.now += 20_000) outage.failed(new Error('no answer'));
    expect(reported).toHaveLength(1);
    clock.now += 30_001;
    outage.failed(new Error('no answer'));
    expect(reported).toHaveLength(2);
  });

  it('reports each kind once, and of many kinds the first, with a summary', () => {
    const { outage, reported } = open();
    const letters = 'a b c d e f g h i j k l m n o p'.split(' ');
    for (const letter of [...letters, ...letters]) outage.failed(new Error(letter.repeat(1_000)));
    expect(reported).toHaveLength(11);
    expect(reported.at(-1)).toBeInstanceOf(CounterCacheError);
  });

  it('takes anything that is thrown', () => {
    const { outage, reported } = open();
    const thrown = [undefined, null, 'text', Symbol('s'), { a: 1 }];
    for (const error of thrown) outage.failed(error);
    expect(reported).toEqual(thrown);
  });
});

test('a flood of one kind of errors is let through in part, and keeps nothing of others from being reported', () => {
  const reported: unknown[] = [];
  const events = new Events((error) => reported.push(error));
  for (let i = 0; i < 20_000; i++) events.emit('error', new Error(`error ${i}`));
  expect(reported).toHaveLength(20);
  events.emit('error', new TypeError('another'));
  expect(reported).toHaveLength(21);
});
