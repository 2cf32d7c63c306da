import { CircuitBreaker } from '../../src/publish/circuit-breaker';

describe('CircuitBreaker', () => {
  let now: number;
  let breaker: CircuitBreaker;

  beforeEach(() => {
    now = 0;
    breaker = new CircuitBreaker(1_000, () => now);
  });

  it('lets everybody try while nothing fails', () => {
    expect([breaker.attempt(), breaker.attempt(), breaker.isClosed]).toEqual([true, true, true]);
    breaker.succeed();
    expect(breaker.attempt()).toBe(true);
  });

  it('lets nobody try for a while after a failure, then one', () => {
    breaker.fail();
    now = 999;
    expect([breaker.attempt(), breaker.isClosed]).toEqual([false, false]);
    now = 1_000;
    expect([breaker.attempt(), breaker.attempt(), breaker.attempt()]).toEqual([true, false, false]);
  });

  it('opens to all when that one succeeds', () => {
    breaker.fail();
    now = 1_000;
    breaker.attempt();
    breaker.succeed();
    expect([breaker.attempt(), breaker.attempt(), breaker.isClosed]).toEqual([true, true, true]);
  });

  it('waits as long again when that one fails', () => {
    breaker.fail();
    now = 1_500;
    breaker.attempt();
    breaker.fail();
    now = 2_499;
    expect(breaker.attempt()).toBe(false);
    now = 2_500;
    expect(breaker.attempt()).toBe(true);
  });

  it('waits from the last failure of those that were under way', () => {
    breaker.attempt();
    breaker.attempt();
    breaker.fail();
    now = 600;
    breaker.fail();
    now = 1_500;
    expect(breaker.attempt()).toBe(false);
    now = 1_600;
    expect(breaker.attempt()).toBe(true);
  });
});
