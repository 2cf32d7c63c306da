import type { Mode } from 'typeorm-counter-cache';

import type { Claim, Recount, LeaseOutcome } from '../../../src/engines/buffered/buffer';
import type { Batch } from '../../../src/model/pending';
import type { Place, When } from './place';

/** A group of steps: what leads to them, and who dies there. */
export type Group =
  | 'hand-off'
  | 'hand-off without an answer'
  | 'reconcile'
  | 'outbox drain'
  | 'outbox requests'
  | 'recalculation'
  | 'sweep'
  | 'lost shard'
  | 'changed definition';

/** A step at which a process dies. */
export interface Point {
  readonly group: Group;
  readonly name: string;
  readonly place: Place;
  /** The modes in which the step exists. */
  readonly modes: readonly Mode[];
  readonly at: readonly When[];
  /** The step is reached in what another process left, which died there. */
  readonly left?: { readonly by: 'writer' | 'worker'; readonly place: Place; readonly when: When };
  /** Where it dies in the short form of the matrix. */
  readonly short?: When;
}

export const MODES: readonly Mode[] = ['buffered', 'outbox'];

const AROUND: readonly When[] = ['before', 'after'];
const THROUGHOUT: readonly When[] = ['before', 'sent', 'after'];

/** With its deltas enclosed, or without. */
const CAPTURED = /^(WITH "__cc_outbox" |INSERT INTO "post")/;
/** The one before COMMIT. */
const OUTBOX_WRITTEN = /^\s*INSERT INTO "public"."counter_cache_outbox"/;
const REBUILDING_NOTED = /^UPDATE "public"."counter_cache_shard" SET "epoch" = \$2, "rebuilding"/;
const CURSOR_NOTED = /^UPDATE "public"."counter_cache_shard" SET "rebuilding" = \$2/;
const RECOUNTS_REQUESTED = /^DELETE FROM "public"."counter_cache_state"/;
const LEDGER = /INSERT INTO "public"."counter_cache_ledger"/;
const UPDATE_TARGETS = /^\s*WITH i AS MATERIALIZED/;
const ROWS_LOCKED = /FOR UPDATE OF x SKIP LOCKED/;
const ROWS_SETTLED = /^DELETE FROM "public"."counter_cache_outbox" WHERE "id" = ANY/;
const REPAIRS_TAKEN = /^\s*WITH l AS MATERIALIZED[^]*x\."repair"/;

const claimed: Place = {
  via: 'redis',
  method: 'claim',
  holds: ({ oldestDue, now }) => oldestDue !== null && oldestDue <= now,
  otherwise: { batch: null, more: false, next: null, now: 0 } satisfies Claim,
  answers: (reply) => (reply as Claim).batch !== null,
};
const confirmed: Place = { via: 'redis', method: 'confirm' };
const acknowledged: Place = { via: 'redis', method: 'acknowledge' };

const HAND_OFF: readonly Omit<Point, 'group'>[] = [
  { name: 'first captured statement', place: { via: 'sql', sql: CAPTURED }, modes: MODES, at: AROUND },
  { name: 'announce', place: { via: 'redis', method: 'announce' }, modes: ['buffered'], at: AROUND },
  {
    name: 'insert into the outbox',
    place: { via: 'sql', sql: OUTBOX_WRITTEN },
    modes: ['outbox'],
    at: AROUND,
  },
  { name: 'COMMIT', place: { via: 'sql', sql: /^COMMIT/ }, modes: MODES, at: THROUGHOUT, short: 'sent' },
  { name: 'confirm', place: confirmed, modes: ['buffered'], at: AROUND },
  { name: 'wake-up', place: { via: 'queue' }, modes: MODES, at: AROUND },
];

const WITHOUT_ANSWER: readonly Omit<Point, 'group'>[] = [
  {
    name: 'insert into the outbox',
    place: { via: 'sql', sql: OUTBOX_WRITTEN },
    modes: ['buffered'],
    at: AROUND,
  },
  {
    name: 'release of its savepoint',
    place: { via: 'sql', sql: /^RELEASE SAVEPOINT counter_cache_outbox/ },
    modes: ['buffered'],
    at: AROUND,
  },
  { name: 'COMMIT', place: { via: 'sql', sql: /^COMMIT/ }, modes: ['buffered'], at: THROUGHOUT, short: 'sent' },
  {
    name: 'discard of a late announcement',
    place: { via: 'redis', method: 'discard' },
    modes: ['buffered'],
    at: AROUND,
  },
  { name: 'wake-up', place: { via: 'queue' }, modes: ['buffered'], at: AROUND },
];

const RECONCILE: readonly Omit<Point, 'group'>[] = [
  { name: 'claim', place: claimed, modes: MODES, at: AROUND },
  // With the check of the epoch: one statement.
  { name: 'entry into the ledger', place: { via: 'sql', sql: LEDGER }, modes: MODES, at: AROUND },
  {
    name: 'UPDATE of the targets',
    place: { via: 'sql', sql: UPDATE_TARGETS, behind: LEDGER },
    modes: MODES,
    at: AROUND,
  },
  {
    name: 'COMMIT',
    place: { via: 'sql', sql: /^COMMIT/, behind: LEDGER },
    modes: MODES,
    at: THROUGHOUT,
    short: 'sent',
  },
  { name: 'acknowledge', place: acknowledged, modes: MODES, at: AROUND },
];

const DRAIN: readonly Omit<Point, 'group'>[] = [
  { name: 'lock of the rows', place: { via: 'sql', sql: ROWS_LOCKED }, modes: ['outbox'], at: AROUND },
  {
    name: 'UPDATE of the targets',
    place: { via: 'sql', sql: UPDATE_TARGETS, behind: ROWS_LOCKED },
    modes: ['outbox'],
    at: AROUND,
  },
  { name: 'rows deleted', place: { via: 'sql', sql: ROWS_SETTLED }, modes: ['outbox'], at: AROUND },
  {
    name: 'COMMIT',
    place: { via: 'sql', sql: /^COMMIT/, behind: ROWS_SETTLED },
    modes: ['outbox'],
    at: THROUGHOUT,
    short: 'sent',
  },
];

const REQUESTS: readonly Omit<Point, 'group'>[] = [
  { name: 'requests taken', place: { via: 'sql', sql: REPAIRS_TAKEN }, modes: ['outbox'], at: AROUND },
  { name: 'recalculation requested', place: { via: 'redis', method: 'requestRepair' }, modes: ['outbox'], at: AROUND },
  {
    name: 'COMMIT of requests taken',
    place: { via: 'sql', sql: /^COMMIT/, behind: REPAIRS_TAKEN },
    modes: ['outbox'],
    at: THROUGHOUT,
  },
];

const RECALCULATION: readonly Omit<Point, 'group'>[] = [
  {
    name: 'lease',
    place: {
      via: 'redis',
      method: 'acquireLease',
      answers: (reply) => (reply as readonly LeaseOutcome[]).includes('acquired'),
    },
    modes: MODES,
    at: AROUND,
  },
  {
    name: 'read',
    place: { via: 'sql', sql: /pg_current_snapshot\(\)::text AS snapshot/ },
    modes: MODES,
    at: AROUND,
  },
  {
    name: 'finalize',
    place: {
      via: 'redis',
      method: 'finalize',
      // Topics are recounted at the same time, and theirs are right.
      asks: ([, , , recounts]) => (recounts as readonly Recount[]).some(({ target }) => target.startsWith('author')),
    },
    modes: MODES,
    at: AROUND,
    short: 'after',
  },
];

const SWEEP: readonly Omit<Point, 'group'>[] = [
  {
    name: 'stale batch found',
    place: {
      via: 'redis',
      method: 'takeOver',
      holds: ({ batches }) => batches > 0,
      answers: (reply) => (reply as readonly Batch[]).length > 0,
    },
    modes: MODES,
    at: AROUND,
    left: { by: 'worker', place: claimed, when: 'after' },
    short: 'after',
  },
  {
    name: 'applied batch acknowledged',
    place: acknowledged,
    modes: MODES,
    at: AROUND,
    left: { by: 'worker', place: acknowledged, when: 'before' },
  },
  {
    name: 'stale intent found',
    place: {
      via: 'redis',
      method: 'staleIntents',
      holds: ({ intents }) => intents > 0,
      answers: (reply) => (reply as readonly string[]).length > 0,
    },
    modes: ['buffered'],
    at: AROUND,
    left: { by: 'writer', place: confirmed, when: 'before' },
  },
  {
    name: 'stale intent swept',
    place: { via: 'redis', method: 'sweepIntents' },
    modes: ['buffered'],
    at: AROUND,
    left: { by: 'writer', place: confirmed, when: 'before' },
    short: 'after',
  },
];

const LOST_SHARD: readonly Omit<Point, 'group'>[] = [
  { name: 'loss recorded', place: { via: 'sql', sql: REBUILDING_NOTED }, modes: MODES, at: AROUND },
  {
    name: 'COMMIT of the record',
    place: { via: 'sql', sql: /^COMMIT/, behind: REBUILDING_NOTED },
    modes: MODES,
    at: THROUGHOUT,
  },
  { name: 'epoch raised', place: { via: 'redis', method: 'raiseEpoch' }, modes: MODES, at: AROUND },
  { name: 'page requested', place: { via: 'redis', method: 'requestRepair' }, modes: MODES, at: AROUND },
  { name: 'cursor noted', place: { via: 'sql', sql: CURSOR_NOTED }, modes: MODES, at: AROUND },
  {
    name: 'COMMIT of the cursor',
    place: { via: 'sql', sql: /^COMMIT/, behind: CURSOR_NOTED },
    modes: MODES,
    at: THROUGHOUT,
    short: 'sent',
  },
  {
    name: 'end noted',
    place: { via: 'sql', sql: CURSOR_NOTED, values: ([, cursor]) => cursor === null },
    modes: MODES,
    at: AROUND,
  },
];

const CHANGED: readonly Omit<Point, 'group'>[] = [
  { name: 'page requested', place: { via: 'redis', method: 'requestRepair' }, modes: MODES, at: AROUND },
  { name: 'end noted', place: { via: 'sql', sql: RECOUNTS_REQUESTED }, modes: MODES, at: AROUND },
  {
    name: 'COMMIT of the end',
    place: { via: 'sql', sql: /^COMMIT/, behind: RECOUNTS_REQUESTED },
    modes: MODES,
    at: THROUGHOUT,
    short: 'sent',
  },
];

/** Every step at which a process is killed, in the order in which they are taken. */
export const POINTS: readonly Point[] = (
  [
    ['hand-off', HAND_OFF],
    ['hand-off without an answer', WITHOUT_ANSWER],
    ['reconcile', RECONCILE],
    ['outbox drain', DRAIN],
    ['outbox requests', REQUESTS],
    ['recalculation', RECALCULATION],
    ['sweep', SWEEP],
    ['lost shard', LOST_SHARD],
    ['changed definition', CHANGED],
  ] as const
).flatMap(([group, points]) => points.map((point) => ({ ...point, group })));
