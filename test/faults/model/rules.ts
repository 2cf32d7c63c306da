import type { Patch } from './lane';
import type { CallersRule, Scenario } from './scenario';

/** A rule of the protocol, how it is left out, and where that must be noticed. */
export interface Rule {
  readonly name: string;
  readonly patch?: Patch;
  readonly callers?: CallersRule;
  readonly scenario: Scenario;
  /** Takes tens of thousands of states. */
  readonly isLarge?: true;
}

/** Rules that Lua functions keep. */
const IN_REDIS: readonly Rule[] = [
  {
    name: 'hold: a leased target is not claimed',
    patch: { text: 'and not (any_lease and standing_token(K, target, now))', by: '' },
    scenario: { writers: 1, crashes: 1 },
  },
  {
    name: 'log: what is confirmed under a lease is logged',
    patch: { text: 'local leased = any_lease and standing_token(K, target, now)', by: 'local leased = false' },
    scenario: { writers: 1 },
  },
  {
    name: 'log: of it, finalize adds only what the snapshot has not seen',
    patch: { text: 'if not visible(id) then', by: 'if true then' },
    scenario: { writers: 1 },
  },
  {
    name: 'absorb: the intents that the snapshot has seen are emptied',
    patch: { text: 'if not dry then delta[5] = kept end', by: '' },
    scenario: { writers: 1 },
  },
  {
    name: 'generation: a request ends the lease',
    patch: {
      text: "  redis.call('HDEL', K.leases, target)\n  redis.call('HDEL', K.logs, target)\n  local standing = redis.call('HGET', K.barriers",
      by: "  local standing = redis.call('HGET', K.barriers",
    },
    scenario: { writers: 1, early: true },
  },
  {
    name: 'barrier: a recalculation waits for the transactions open at the request',
    patch: { text: 'tonumber(barrier) >= horizon', by: 'false' },
    scenario: { writers: 1, early: true, crashes: 1 },
  },
  {
    name: 'a claimed target is not leased',
    patch: { text: "any.claimed and redis.call('HEXISTS', K.claimed, target) == 1", by: 'false' },
    scenario: { writers: 1 },
  },
  {
    name: 'finalize needs its own lease',
    patch: { text: 'if standing_token(K, target, now) ~= token then', by: 'if false then' },
    scenario: { writers: 1, early: true, crashes: 1 },
  },
  {
    name: 'a repair is not fulfilled by a recalculation of some columns',
    patch: { text: '(is_plain or tonumber(barrier) >= horizon)', by: '(tonumber(barrier) >= horizon)' },
    scenario: { writers: 2, columns: 2, scheduled: true, wrong: false, early: true, crashes: 1 },
    isLarge: true,
  },
];

/** Rules that callers and SQL keep. */
const IN_SQL: readonly Rule[] = [
  {
    name: 'fence: a batch of an older epoch is not applied',
    callers: 'fence',
    scenario: { writers: 1, wrong: false, wipes: 1, crashes: 1 },
  },
  {
    name: 'a fenced batch is repaired',
    callers: 'repair of fenced batches',
    scenario: { writers: 1, purges: 1, crashes: 1 },
  },
  { name: 'ledger: a batch is applied once', callers: 'ledger', scenario: { writers: 1, crashes: 1 } },
  {
    name: 'outboxSum: a recount knows what the outbox holds',
    callers: 'outboxSum',
    scenario: { writers: 1, outages: true },
  },
  { name: 'what was not applied is given back', callers: 'give back', scenario: { writers: 1, locks: 1 } },
  {
    name: 'an announcement that failed is never confirmed',
    callers: 'failed announcements',
    scenario: { writers: 1, outages: true },
  },
  {
    name: 'what is neither announced nor in the outbox is recounted',
    callers: 'request from memory',
    scenario: { writers: 1, outages: true, memory: true },
  },
  {
    name: 'another incarnation is a loss',
    callers: 'incarnation',
    scenario: { writers: 1, wrong: false, saves: 1, rewinds: 1 },
  },
  {
    name: 'a rebuilding asks behind a barrier',
    callers: 'barrier of a rebuilding',
    scenario: { writers: 1, wrong: false, wipes: 1, crashes: 1 },
  },
  {
    name: 'a rebuilding is noted in SQL with the epoch',
    callers: 'rebuilding is noted',
    scenario: { writers: 1, wrong: false, wipes: 1, crashes: 1 },
  },
];

/** Every rule of the protocol that is left out once. */
export const RULES: readonly Rule[] = [...IN_REDIS, ...IN_SQL];
