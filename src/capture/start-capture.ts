import type { DataSource, EntitySubscriberInterface } from 'typeorm';

import type { Definitions } from '../counter/definition';
import { protectCounterColumns } from '../counter/protect';
import { withConnection } from '../sql/query';
import { besidePool } from '../sql/side-connection';
import { Capture, type CaptureOptions } from './capture';
import { recheckEnds } from './dated-ends';
import type { HandOff } from './hand-off';
import { hookWrites } from './hook';
import { guardPool } from './pool-guard';
import { wrapRowStream } from './row-stream';
import { Transactions } from './transactions';
import { truncatedTables } from './truncated-tables';

export interface StartCaptureOptions extends CaptureOptions {
  /** Whether the write that is being made is not to be counted. */
  readonly isSkipped: () => boolean;
  /** A table whose rows count, or stand between, was emptied by TRUNCATE: told the entity's name. */
  readonly onTruncated: (entity: string) => void;
  /** See `TransactionsOptions`. */
  readonly onUnseen: (refusal: Error) => void;
}

/** The capture of one DataSource, for as long as its metadata last. */
export interface RunningCapture {
  readonly transactions: Transactions;
  /** See `Capture.track`. */
  readonly track: Capture['track'];
  /** Takes everything out of the DataSource again; what follows its open transactions once these are over. */
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
  const transactions = new Transactions(handOff, {
    durability: options.durability,
    recheck: (ends) => besidePool('urgent', () => withConnection(dataSource, (runner) => recheckEnds(runner, ends))),
    onUnseen: options.onUnseen,
    onTruncate: (sql) => {
      if (options.isSkipped()) return;
      for (const name of truncatedTables(sql)) {
        const metadata = capture.countedTable(name);
        if (metadata !== undefined) options.onTruncated(metadata.name);
      }
    },
  });
  const capture = new Capture(dataSource, definitions, transactions, options);
  wrapRowStream(dataSource);
  const unsubscribe = subscribe(dataSource, transactions);
  const stops = [
    protectCounterColumns(definitions),
    guardPool(dataSource, transactions),
    hookWrites(dataSource, (builder, execute) => (options.isSkipped() ? null : capture.hook(builder, execute))),
  ];
  return {
    transactions,
    track: (...args) => capture.track(...args),
    stop: () => {
      for (const stop of stops.splice(0)) stop();
      transactions.retire(unsubscribe);
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
