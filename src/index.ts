export { closeOnSignal } from './close-on-signal';
export { CounterCache, defineCounterCache } from './declare/decorator';
export type { Counter } from './model/definition';
export type { CounterCacheOptions, PolymorphicOptions } from './declare/options';
export type { NumericText } from './model/property-types';
export { Counters } from './counters';
export {
  AmountError,
  BufferUnavailableError,
  ConfigurationError,
  CounterCacheError,
  type ErrorCode,
  NotPermittedError,
  TablesMissingError,
} from './errors';
export type { ColumnChange, CountersEvents, Drift, FailedTarget } from './events';
export type { ReconcileReport } from './engines/buffered/reconcile';
export type { TargetFilter, TargetKey } from './engines/targets';
export type { LogEntry } from './read/log';
export type { CounterValue, ReadOptions } from './read/read';
export type { CountersStatus } from './read/status';
export type { RecountFilter } from './recount/recount-filter';
export type { RecountReport } from './recount/recount-run';
export type { WakeUpHandler, RunningScheduler, Scheduler } from './schedule/scheduler';
export { InProcessScheduler, type InProcessSchedulerOptions } from './schedule/in-process/in-process-scheduler';
export type { CounterWorker, WorkerOptions } from './worker/worker';
export type { Mode } from './model/mode';
export type { CountersOptions, Logger, QueueOptions } from './options';
export type {
  Claim,
  Confirmed,
  DeltaBuffer,
  Finalized,
  FinalizeOptions,
  Held,
  Intent,
  Recount,
  ShardStatus,
  LeaseOutcome,
} from './engines/buffered/buffer';
export type { WakeUp, Batch, BatchEntry, ClaimScope, Snapshot, TargetDelta, Unapplied } from './model/pending';
export { counterCacheEntities } from './dialects/postgres/installation/tables';
