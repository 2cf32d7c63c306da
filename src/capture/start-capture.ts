import type { DataSource, EntitySubscriberInterface } from 'typeorm';

import { protectCounterColumns } from '../typeorm/protect';
import type { Capture, CaptureOptions } from './capture';
import { CurrentCapture, type CurrentCaptureBasis } from './current-capture';
import { recheckBeside } from './transaction/dated-ends';
import type { Publisher } from './transaction/publisher';
import { hookWrites } from '../typeorm/hook';
import { guardPool } from '../typeorm/pool-guard';
import { wrapRowStream } from '../typeorm/row-stream';
import { Transactions } from './transaction/transactions';
import { truncatedTables } from './transaction/truncated-tables';

export interface StartCaptureOptions extends CaptureOptions {
  /** Whether the write that is being made is not to be counted. */
  readonly isSkipped: () => boolean;
  /** A table whose rows count, or stand between, was emptied by TRUNCATE; receives the entity's name. */
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

/** Protects the counter columns, follows transactions, and captures writes, by what is known of the database's tables. */
export function startCapture(
  dataSource: DataSource,
  basis: CurrentCaptureBasis,
  publisher: Publisher,
  options: StartCaptureOptions,
): RunningCapture {
  const transactions = new Transactions(publisher, {
    mode: options.mode,
    recheck: (ends) => recheckBeside(dataSource, ends),
    onUnseen: options.onUnseen,
    afterCommit: options.afterCommit,
    explain: (error, runner) => capture.refusals.explainOutbox(error, runner),
    onTruncate: (sql) => {
      if (options.isSkipped()) return;
      for (const name of truncatedTables(sql)) {
        const metadata = capture.latest?.countedTable(name);
        if (metadata !== undefined) options.onTruncated(metadata.name);
      }
    },
    onSchemaChange: () => basis.catalogue.invalidate(),
  });
  const capture = new CurrentCapture(dataSource, basis, transactions, options);
  wrapRowStream(dataSource);
  const unsubscribe = subscribe(dataSource, transactions);
  const stops = [
    protectCounterColumns(basis.definitions),
    hookWrites(dataSource, (...write) => (options.isSkipped() ? null : capture.hook(...write))),
    guardPool(dataSource, transactions),
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
