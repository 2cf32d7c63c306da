import type { QueryRunner } from 'typeorm';

import { OpenTransaction } from '../../src/capture/transaction/open-transaction';
import { ActiveTransactions } from '../../src/capture/transaction/active-transactions';

function runner(isReleased: boolean): QueryRunner {
  return { isReleased } as QueryRunner;
}

test('what was added is listed until it is deleted, from the last to the first', () => {
  const unsettled = new ActiveTransactions();
  const [first, second, third] = [1, 2, 3].map(() => new OpenTransaction('buffered'));
  if (first === undefined || second === undefined || third === undefined) throw new Error('there are three');
  for (const transaction of [first, second, third, second]) unsettled.add(transaction, runner(false));
  unsettled.delete(second);
  unsettled.delete(second);
  expect(unsettled.list().map(({ transaction }) => transaction)).toEqual([third, first]);
});

test('transactions whose connections broke are not kept for ever, and no others are dropped', () => {
  const unsettled = new ActiveTransactions();
  const open = Array.from({ length: 300 }, () => new OpenTransaction('buffered'));
  for (const transaction of open) {
    unsettled.add(transaction, runner(false));
    for (let i = 0; i < 10; i++) unsettled.add(new OpenTransaction('buffered'), runner(true));
  }
  const left = unsettled.list();
  expect(left.length).toBeLessThan(1_000);
  expect(left.filter((link) => !link.runner.isReleased).map(({ transaction }) => transaction)).toEqual(
    open.toReversed(),
  );
});
