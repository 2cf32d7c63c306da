import type { SqlQuery } from '../dialects/postgres/query';
import type { Enclosed } from './inline-outbox/inline-outbox';
import type { OpenTransaction } from './transaction/open-transaction';
import type { Recording } from './recording';
import type { Returning } from './returning';
import { onBeforeSend, stopHearing } from '../typeorm/sending';
import { Answer, unseen } from './statement';
import type { Transactions } from './transaction/transactions';
import { putInDoubt } from './transaction/unanswered';
import type { WriteBuilder, WriteResult } from '../typeorm/write-builder';

/** A builder whose one statement is sent as it is. */
export interface Watched {
  readonly builder: WriteBuilder;
  readonly returning: Returning;
  readonly recording: Recording;
  readonly transactions: Transactions;
  /** The transaction that a statement sent now is part of; `null` when that is not clear, or it is in none. */
  readonly transaction: () => OpenTransaction | null;
  /** It is in none, and is sent if its deltas can be enclosed in it. */
  readonly isOutside: boolean;
  readonly execute: () => Promise<WriteResult>;
  /** Instead, when the statement could not be sent as it is. */
  readonly otherwise: () => Promise<WriteResult>;
}

/** Thrown in place of sending the statement. */
const NOT_SENT = new Error('this statement cannot be sent by itself');

function answerTo(
  [, parameters]: SqlQuery,
  { returning, recording }: Watched,
  enclosed: Enclosed | null,
  open: OpenTransaction | null,
): Answer {
  return new Answer(parameters, returning, recording, {
    whole: (returned) => recording.record(returned, enclosed),
    slice: enclosed === null ? recording.slicing(open) : null,
  });
}

/** Executes the builder, and records what the answer to its statement says. */
export async function executeWatched(watched: Watched): Promise<WriteResult> {
  const { builder, returning, recording, transactions, transaction, isOutside, execute, otherwise } = watched;
  // One, unless somebody else asks the builder for its text meanwhile: nothing tells whose call is which.
  const answers: Answer[] = [];
  let leave = (): void => undefined;
  const sent = { transaction: null as OpenTransaction | null };
  onBeforeSend(builder, (query) => {
    const open = transaction();
    const enclosed = recording.enclose(query, open);
    if (answers.length === 0) {
      if (open === null && (!isOutside || enclosed === null)) throw NOT_SENT;
      leave = transactions.enter(open, builder.queryRunner ?? null);
      sent.transaction = open;
    }
    answers.push(answerTo(query, watched, enclosed, open));
  });
  try {
    const result = await execute();
    const seen = answers.find(({ isSeen }) => isSeen);
    // What commits by itself is counted, seen or not.
    if (seen === undefined && !isOutside) throw unseen();
    await seen?.check();
    if (recording.isUnfinished) await recording.finish();
    return result;
  } catch (error) {
    await recording.noticeOutdated(error);
    const isUnfit = recording.noticeUnfit(error);
    if (error !== NOT_SENT && !(isUnfit && isOutside)) {
      // What is enclosed in it may have to be corrected by its answer.
      if (sent.transaction !== null) putInDoubt(sent.transaction, error);
      throw error;
    }
  } finally {
    stopHearing(builder);
    returning.removeFrom(builder);
    for (const answer of answers) answer.forget();
    leave();
  }
  return otherwise();
}
