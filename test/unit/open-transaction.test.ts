import { CapturedChanges } from '../../src/capture/transaction/captured-changes';
import { OpenTransaction } from '../../src/capture/transaction/open-transaction';

function opened(): OpenTransaction {
  const transaction = new OpenTransaction('buffered');
  transaction.resume();
  transaction.identify('7');
  return transaction;
}

describe('refusals', () => {
  const [first, second] = [new Error('first'), new Error('second')];

  test('a second one stays when the first is lifted', () => {
    const transaction = opened();
    transaction.refuse(first);
    transaction.refuse(second);
    transaction.lift(first);
    expect(transaction.refusal).toBe(second);
    transaction.lift(second);
    expect(transaction.refusal).toBeNull();
  });

  test('those of a released savepoint join the others', () => {
    const transaction = opened();
    transaction.refuse(first);
    transaction.savepoint('s');
    const captured = new CapturedChanges();
    captured.refuse(second);
    transaction.record(captured);
    transaction.release('s');
    transaction.lift(first);
    expect(transaction.refusal).toBe(second);
  });

  test('all stay when it is not known any more what is left of the transaction, be work tracked or not', () => {
    const transaction = opened();
    transaction.refuse(first);
    transaction.savepoint('s');
    transaction.refuse(second);
    const finish = transaction.track();
    transaction.repairAll();
    finish();
    transaction.lift(first);
    expect(transaction.refusal).toBe(second);
  });
});

test('what is asked to be repaired before COMMIT is not lost with a savepoint', () => {
  const transaction = opened();
  transaction.savepoint('s');
  transaction.repair(['t']);
  transaction.rollbackTo('s');
  transaction.rollbackTo('s');
  expect(transaction.everyTarget()).toEqual(['t']);
});

test.each(['committed', 'rolled back', 'unknown', 'unseen'] as const)(
  'an end that is known stays, %s, though a ROLLBACK that waited follows',
  (outcome) => {
    const transaction = opened();
    transaction.endWith(outcome);
    transaction.startEnding('rolling back');
    expect(transaction.state).toBe(outcome);
  },
);
