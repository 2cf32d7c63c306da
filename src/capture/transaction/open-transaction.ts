import type { WakeUp, TargetDelta } from '../../model/pending';
import type { Mode } from '../../model/mode';
import { CounterCacheError } from '../../errors';
import { CapturedChanges, type CapturedSums, sumUp } from './captured-changes';
import type { DatedEnd } from './dated-ends';
import type { Heard } from '../../typeorm/heard';
import type { TableChanges } from '../statement';

/** Captured changes, numbered in the order of their capture. */
interface Kept {
  readonly at: number;
  readonly table: TableChanges;
}

/** What is captured since a savepoint (or since the start). */
interface Frame {
  readonly savepoint: string | null;
  readonly captured: CapturedChanges;
  /** What was captured, row by row; kept only while rows are tracked. */
  readonly kept: Kept[];
}

/** How a transaction ended. `unseen`: by a command that did not pass through TypeORM. */
export type Outcome = 'committed' | 'rolled back' | 'unknown' | 'unseen';

/** A command that begins or ends a transaction is on its way, or was not answered. */
type Passing = 'beginning' | 'committing' | 'rolling back';

/** From BEGIN to its end; docs/protocol.md has the diagram. */
type State = Passing | 'open' | Outcome;

const ENDED: ReadonlySet<State> = new Set<Outcome>(['committed', 'rolled back', 'unknown', 'unseen']);

/** The captured deltas of one transaction: a stack of frames, one per savepoint. */
export class OpenTransaction {
  /** How what is asked of a whole target is published; the deltas of its counters may go another way. */
  readonly #mode: Mode;
  /** Made by the library around one statement: no other statement is part of it. */
  readonly isSingle: boolean;
  /** What was captured is being published, as its COMMIT waits for: settles when the last of it so far is over. */
  preparing: Promise<void> | null = null;
  /** Statements that wrote their deltas to the outbox by themselves. */
  enclosures = 0;
  #state: State = 'beginning';
  #id: string | null = null;
  // Made when they are needed: most transactions capture nothing.
  #frames: Frame[] | null = null;
  #idle: (() => void)[] | null = null;
  #wakeUps: WakeUp[] | null = null;
  /** What was heard on its connection when it began; -1 while that is not known. */
  #endsBefore = -1;
  #commandsBefore = -1;
  /** Commands of it that were seen since. */
  #followed = 0;
  /** Commands of it whose answer was given up. */
  #suspected = 0;
  #versionAtEnd = 0;
  #schemaVersion = 0;
  #version = 0;
  #running = 0;
  #tracks = 0;
  #kept = 0;

  constructor(mode: Mode, isSingle = false) {
    this.#mode = mode;
    this.isSingle = isSingle;
  }

  get state(): State {
    return this.#state;
  }

  /** COMMIT or ROLLBACK is on its way: a statement sent now is no part of it. */
  get isEnding(): boolean {
    return this.#state === 'committing' || this.#state === 'rolling back';
  }

  /** How it ended is known, or that this will never be. */
  get isEnded(): boolean {
    return ENDED.has(this.#state);
  }

  /** Its BEGIN, or its end, is not answered yet, and may not have been sent: another subscriber can refuse it. */
  get isInDoubt(): boolean {
    return this.#state === 'beginning' || this.isEnding;
  }

  /** Something was recorded after it was published. */
  get changedAfterPublishing(): boolean {
    return this.#version !== this.#versionAtEnd;
  }

  /** The database's id of this transaction; known once something was captured. */
  get id(): string | null {
    return this.#id;
  }

  /** Changes with everything that is recorded. */
  get version(): number {
    return this.#version;
  }

  /** A captured statement, or tracked work, is under way. */
  get isRunning(): boolean {
    return this.#running + this.#tracks > 0;
  }

  /** Nothing is captured, refused, to be followed again, or under way. */
  get isIdle(): boolean {
    return this.#version === 0 && !this.isRunning && !this.isDated;
  }

  /**
   * Sets the transaction's id. When it is another than before, what was captured so far belongs to a transaction
   * whose end was not seen; returns that, and starts over.
   */
  identify(id: string): TargetDelta[] | null {
    const forgotten = this.#id === null || this.#id === id ? null : this.targets();
    if (forgotten !== null) this.#empty();
    this.#id = id;
    return forgotten;
  }

  /** A captured statement is about to be sent: COMMIT waits until the function it returns is called. */
  enter(): () => void {
    this.#running += 1;
    return () => {
      this.#running -= 1;
      if (this.#running === 0) this.#wake();
    };
  }

  /** A captured statement is under way. */
  get hasStatements(): boolean {
    return this.#running > 0;
  }

  /** Resolves when no captured statement is under way. */
  async idle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => (this.#idle ??= []).push(resolve));
  }

  /** The database is in it, and its end is not under way. */
  resume(): void {
    this.#state = 'open';
  }

  /** The database is in it; what is heard on its connection from now on belongs to it. */
  begin(heard: Readonly<Heard> | null): void {
    if (this.#commandsBefore < 0 && heard !== null) {
      this.#endsBefore = heard.ends;
      this.#commandsBefore = heard.commands;
    } else {
      // A second BEGIN changes nothing.
      this.follow();
    }
    this.resume();
  }

  /** It has changed the schema, for itself alone until it is committed. */
  changeSchema(): void {
    this.#schemaVersion += 1;
  }

  /** Rises with every change it makes of the schema, and with every one that it may have taken back; 0 while there is none. */
  get schemaVersion(): number {
    return this.#schemaVersion;
  }

  /** A command that begins or divides it was seen. */
  follow(): void {
    this.#followed += 1;
  }

  /** One was sent, and its answer given up: it may have been done. */
  suspect(): void {
    this.#suspected += 1;
  }

  /** Whether it is over, by a command that was not seen. */
  isOver(heard: Readonly<Heard> | null): boolean {
    return !this.isEnding && this.#endsBefore >= 0 && heard !== null && heard.ends !== this.#endsBefore;
  }

  /** Whether it was divided, or another began in its place, by a command that was not seen. */
  isDisturbed(heard: Readonly<Heard> | null): boolean {
    if (this.#commandsBefore < 0 || heard === null) return false;
    const unseen = heard.commands - this.#commandsBefore - this.#followed;
    return unseen < 0 || unseen > this.#suspected;
  }

  /** Which of its changes are still there is not known: each of its targets is recounted instead, also after a ROLLBACK TO. */
  repairAll(): void {
    const targets = this.everyTarget();
    const refusals = this.#stack().flatMap(({ captured }) => [...captured.refusals]);
    this.#empty();
    this.repair(targets);
    for (const error of refusals) this.refuse(error);
    this.#version += 1;
  }

  /** Targets of all that is recorded, be its sum zero or not. */
  everyTarget(): readonly string[] {
    return [...new Set(this.#stack().flatMap(({ captured }) => [...captured.targets()]))];
  }

  /** Its COMMIT or ROLLBACK is about to be sent, unless it ended before that. */
  startEnding(by: 'committing' | 'rolling back'): void {
    if (this.isEnded) return;
    this.#state = by;
    this.#versionAtEnd = this.#version;
  }

  /** Its COMMIT or ROLLBACK is answered. */
  endWith(outcome: Outcome): void {
    this.#state = outcome;
  }

  /** Keeps captured changes, and COMMIT from succeeding, until the function it returns is called. */
  track(): () => void {
    this.#tracks += 1;
    return () => {
      this.#tracks -= 1;
      if (this.#tracks === 0) for (const { kept } of this.#stack()) kept.splice(0);
    };
  }

  /** Changes are kept. */
  get isTracked(): boolean {
    return this.#tracks > 0;
  }

  /** Keeps all that is captured, row by row. */
  keep(tables: readonly TableChanges[]): void {
    if (this.#tracks > 0) for (const table of tables) this.#top().kept.push({ at: (this.#kept += 1), table });
  }

  /** What is kept since a savepoint, in the order of its capture. */
  keptSince(name: string): readonly TableChanges[] {
    const kept = this.#stack()
      .slice(this.#find(name))
      .flatMap((frame) => frame.kept);
    // What was recorded below a savepoint may be later than what was recorded in it.
    return kept.toSorted((left, right) => left.at - right.at).map(({ table }) => table);
  }

  has(savepoint: string): boolean {
    return this.#find(savepoint) >= 0;
  }

  /** Whether no other savepoint has been set since this one. */
  isInnermost(savepoint: string): boolean {
    return this.#top().savepoint === savepoint;
  }

  /** Lets `fill` record as if no other savepoint had been set since this one: to be kept when those are rolled back. */
  under(savepoint: string, fill: () => void): void {
    const above = this.#stack().splice(this.#find(savepoint) + 1);
    try {
      fill();
    } finally {
      for (const frame of above) this.#stack().push(frame);
    }
  }

  /** Wake-ups to set once it is committed, for what its statements wrote to the outbox by themselves. */
  get wakeUps(): readonly WakeUp[] {
    return this.#wakeUps ?? [];
  }

  wake(wakeUps: readonly WakeUp[]): void {
    // Statements of one transaction are mostly due together.
    for (const wakeUp of wakeUps)
      if (!this.wakeUps.some(({ shard, at }) => shard === wakeUp.shard && at === wakeUp.at))
        (this.#wakeUps ??= []).push(wakeUp);
  }

  /** Records what was captured; a refusal keeps COMMIT from succeeding, unless a savepoint before it is rolled back to. */
  record(captured: CapturedChanges): void {
    if (captured.isEmpty && captured.dated.length === 0) return;
    this.#top().captured.addAll(captured);
    if (!captured.isEmpty) this.#version += 1;
  }

  /** Asks for a recalculation of targets once every transaction that is open at COMMIT is over, also after a ROLLBACK TO. */
  repair(targets: Iterable<string>): void {
    for (const target of targets) {
      this.#bottom().captured.repair(target);
      this.#version += 1;
    }
  }

  /** Has ends of paths followed again before COMMIT, also after a ROLLBACK TO. */
  recheck(ends: readonly DatedEnd[]): void {
    for (const end of ends) this.#bottom().captured.dated.push(end);
  }

  /** Ends that are still to be followed again. */
  takeDated(): readonly DatedEnd[] {
    return this.#frames?.flatMap(({ captured }) => captured.dated.splice(0)) ?? [];
  }

  get isDated(): boolean {
    return this.#frames?.some(({ captured }) => captured.dated.length > 0) === true;
  }

  /** Keeps COMMIT from succeeding, unless a savepoint before the refused write is rolled back to. */
  refuse(error: Error): void {
    this.#top().captured.refuse(error);
    this.#version += 1;
  }

  /** Takes back what {@link refuse} received, in whichever frame it is by now. */
  lift(error: Error): void {
    for (const { captured } of this.#frames ?? []) captured.lift(error);
  }

  get refusal(): Error | null {
    if (this.#tracks > 0) return unfinished();
    return this.#frames?.find(({ captured }) => captured.refusal !== null)?.captured.refusal ?? null;
  }

  savepoint(name: string): void {
    this.#stack().push(newFrame(name));
  }

  /** A released savepoint's changes, and those of the savepoints after it, belong to the frame below. */
  release(name: string): void {
    const at = this.#find(name);
    if (at < 0) return;
    const frames = this.#stack();
    const below = frames[at - 1];
    for (const frame of frames.splice(at)) {
      if (below === undefined) continue;
      below.captured.addAll(frame.captured);
      for (const kept of frame.kept) below.kept.push(kept);
    }
  }

  /** The savepoint itself stays, empty: SQL allows to roll back to it again. */
  rollbackTo(name: string): void {
    if (this.#schemaVersion > 0) this.changeSchema();
    const at = this.#find(name);
    if (at < 0) return;
    const dropped = this.#stack().splice(at);
    this.savepoint(name);
    // Published already, and not to be confirmed any more.
    if (this.isEnding) {
      const sums = sumUp(
        dropped.map(({ captured }) => captured),
        this.#mode,
      );
      this.repair(Object.values(sums).flatMap((some) => some.map(({ target }) => target)));
    }
    // What was published while this was under way has to be published again.
    if (dropped.some(({ captured }) => !captured.isEmpty)) this.#version += 1;
  }

  /** The sum per target; targets whose every amount is zero, and that nothing else is asked of, are left out. */
  sums(): CapturedSums {
    return sumUp(
      this.#stack().map(({ captured }) => captured),
      this.#mode,
    );
  }

  /** Everything that {@link sums} names, however it would be published. */
  targets(): TargetDelta[] {
    return Object.values(this.sums()).flat();
  }

  /** Forgets what was captured, but for ends of paths. */
  #empty(): void {
    const dated = this.takeDated();
    this.#frames = null;
    this.recheck(dated);
  }

  #wake(): void {
    const waiting = this.#idle ?? [];
    this.#idle = null;
    for (const resolve of waiting) resolve();
  }

  #stack(): Frame[] {
    this.#frames ??= [newFrame(null)];
    return this.#frames;
  }

  #bottom(): Frame {
    return frameAt(this.#stack(), 0);
  }

  #top(): Frame {
    return frameAt(this.#stack(), -1);
  }

  #find(name: string): number {
    return this.#stack().findLastIndex((frame) => frame.savepoint === name);
  }
}

function frameAt(frames: readonly Frame[], index: number): Frame {
  const frame = frames.at(index);
  if (frame === undefined) throw new Error('a transaction has at least one frame');
  return frame;
}

function newFrame(savepoint: string | null): Frame {
  return { savepoint, captured: new CapturedChanges(), kept: [] };
}

function unfinished(): Error {
  const advice = 'End the transaction elsewhere than in its work, and await counters.track before COMMIT';
  return new CounterCacheError(
    'WRITE_FAILED',
    `COMMIT was sent while the work of counters.track was under way. ${advice}`,
  );
}
