export { closeOnSignal } from './close-on-signal';
export { CounterCache, defineCounterCache } from './counter/decorator';
export type { Counter } from './counter/definition';
export type { CounterCacheOptions, PolymorphicOptions } from './counter/options';
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
export type { ReconcileReport } from './jobs/reconcile';
export type { TargetFilter, TargetKey } from './jobs/targets';
export type { LogEntry } from './live/log';
export type { CounterValue, ReadOptions } from './live/read';
export type { CountersStatus } from './live/status';
export type { RecountFilter } from './jobs/recount-filter';
export type { RecountReport } from './jobs/recount-run';
export type { AlarmHandler, RunningScheduler, Scheduler } from './jobs/scheduler';
export { InProcessScheduler, type InProcessSchedulerOptions } from './jobs/in-process/in-process-scheduler';
export type { CounterWorker, WorkerOptions } from './jobs/worker';
export type { Mode } from './mode';
export type { CountersOptions, Logger, QueueOptions } from './options';
export type {
  Alarm,
  Batch,
  BatchEntry,
  Claim,
  ClaimScope,
  Confirmed,
  DeltaBuffer,
  Finalized,
  FinalizeOptions,
  Held,
  Intent,
  Recount,
  ShardStatus,
  Snapshot,
  TargetDelta,
  Unapplied,
  WatchOutcome,
} from './buffer/buffer';
export { MemoryBuffer, type MemoryBufferOptions } from './buffer/memory/memory-buffer';
export { counterCacheEntities } from './sql/tables';
