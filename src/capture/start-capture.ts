import type { DataSource, EntitySubscriberInterface } from 'typeorm';

import type { Definitions } from '../counter/definition';
import { protectCounterColumns } from '../counter/protect';
import { withConnection } from '../sql/query';
import { withSideConnection } from '../sql/side-connection';
import { Capture, type CaptureOptions } from './capture';
import { recheckEnds } from './dated-ends';
import type { HandOff } from './hand-off';
import { hookWrites } from './hook';
import { Transactions } from './transactions';

export interface StartCaptureOptions extends CaptureOptions {
  /** Whether the write that is being made is not to be counted. */
  readonly isSkipped: () => boolean;
}

/** The capture of one DataSource, for as long as its metadata last. */
export interface RunningCapture {
  readonly transactions: Transactions;
  /** Takes everything out of the DataSource again. */
  stop(): void;
}

/** Protects the counter columns, follows transactions, and captures writes. */
export function startCapture(
  dataSource: DataSource,
  definitions: Definitions,
  handOff: HandOff,
  options: StartCaptureOptions,
): RunningCapture {
  // Beside the pool: every connection of it may be held by a transaction that waits for this.
  const transactions = new Transactions(handOff, (ends) =>
    withSideConnection(dataSource, (side) => withConnection(side, (runner) => recheckEnds(runner, ends))),
  );
  const capture = new Capture(dataSource, definitions, transactions, options);
  const stops = [
    protectCounterColumns(definitions),
    subscribe(dataSource, transactions),
    hookWrites(dataSource, (builder, execute) => (options.isSkipped() ? null : capture.hook(builder, execute))),
  ];
  return {
    transactions,
    stop: () => {
      for (const stop of stops.splice(0)) stop();
    },
  };
}

/** Adds a subscriber to the array that TypeORM reads; returns a function that takes it out again. */
function subscribe(dataSource: DataSource, subscriber: EntitySubscriberInterface): () => void {
  dataSource.subscribers.push(subscriber);
  return () => {
    const at = dataSource.subscribers.indexOf(subscriber);
    if (at >= 0) dataSource.subscribers.splice(at, 1);
  };
}
