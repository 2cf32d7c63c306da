import type { QueryRunner } from 'typeorm';

import type { Intent } from '../engines/buffered/buffer';
import type { JobContext } from '../engines/context';
import type { TargetDelta } from '../model/pending';
import { byShard } from '../model/shard';
import type { BufferHealth } from './buffer-health';
import type { CapturedSums } from '../capture/transaction/captured-changes';
import { outboxRows } from '../capture/inline-outbox/outbox-rows';
import { OutboxWriter } from './outbox-writer';

/** Where deltas wait, and what sets wake-ups for them. */
export type Destination = Pick<JobContext, 'buffer' | 'tables' | 'schedule'>;

/** What a publication works with. */
export interface PublicationTools {
  readonly destination: Destination;
  readonly health: BufferHealth;
  /** Due times in the outbox are rounded up to multiples of it, ms. */
  readonly window: number;
}

type Intents = ReadonlyMap<number, Intent>;

const NONE: Intents = new Map();

/** Takes the deltas of one transaction to where they wait, before its COMMIT; once more when more was captured meanwhile. */
export class Publication {
  readonly #health: BufferHealth;
  /** The transaction's. */
  readonly id: string;
  /** Of all its deltas, from its first on. */
  readonly destination: Destination;
  /** Its end is waited for, so that it can be reported to the buffer. */
  awaitsEnd = false;
  readonly #writer: OutboxWriter;
  readonly #failed = new Set<number>();
  readonly #tried = new Set<number>();
  #buffered: Intents = NONE;
  #isWritten = false;

  constructor(id: string, { destination, health, window }: PublicationTools, runner: QueryRunner) {
    this.id = id;
    this.destination = destination;
    this.#health = health;
    this.#writer = new OutboxWriter(id, runner, { tables: destination.tables, window });
  }

  /** Intents that were announced, to be confirmed after COMMIT. */
  get announced(): Intents {
    if (this.#failed.size === 0) return this.#buffered;
    return new Map([...this.#buffered].filter(([shard]) => !this.#failed.has(shard)));
  }

  /** Intents that are neither announced nor in the outbox: their targets have to be recalculated. */
  get lost(): Intents {
    if (this.#isWritten) return NONE;
    return new Map([...this.#buffered].filter(([shard]) => this.#failed.has(shard)));
  }

  /** Shards where an announcement may have arrived that is not to be confirmed. */
  get orphaned(): readonly number[] {
    return [...this.#tried].filter((shard) => this.#failed.has(shard) || !this.#buffered.has(shard));
  }

  /** Shards where an announcement may have arrived. */
  get tried(): ReadonlySet<number> {
    return this.#tried;
  }

  /** Whether it is still to be reported to the buffer how the transaction ended. */
  get needsBuffer(): boolean {
    return this.#tried.size + this.#failed.size > 0;
  }

  /** When what was written to the outbox is due. */
  get wakeUps(): OutboxWriter['wakeUps'] {
    return this.#writer.wakeUps;
  }

  /** Announces and writes; what is written before is replaced. */
  async prepare({ buffered, outbox }: CapturedSums): Promise<void> {
    this.#buffered = this.#intents(buffered);
    await this.#announce();
    await this.#write(this.#writer, outbox);
  }

  /** The calls run concurrently. One that fails does not fail the transaction. */
  async #announce(): Promise<void> {
    // A shard that failed stays with the outbox: its announcement may arrive yet.
    const open = this.announced;
    if (open.size === 0) return;
    if (!this.#health.attempt()) {
      for (const shard of open.keys()) this.#failed.add(shard);
      return;
    }
    const failures = await Promise.all(Array.from(open, ([shard, intent]) => this.#announceShard(shard, intent)));
    const failure = failures.find((one) => one !== null);
    if (failure === undefined) this.#health.succeeded();
    else this.#health.failed(failure.error);
  }

  async #announceShard(shard: number, intent: Intent): Promise<{ readonly error: unknown } | null> {
    this.#tried.add(shard);
    try {
      await this.destination.buffer.announce(shard, intent);
      return null;
    } catch (error) {
      this.#failed.add(shard);
      return { error };
    }
  }

  async #write(writer: OutboxWriter, outbox: readonly TargetDelta[]): Promise<void> {
    const { shards } = this.destination.buffer;
    if (outbox.length + this.#failed.size === 0 && !writer.hasWritten) {
      this.#isWritten = true;
      return;
    }
    const fallback = [...this.#buffered].flatMap(([shard, { deltas }]) => (this.#failed.has(shard) ? deltas : []));
    const rows = outboxRows([...outbox, ...fallback], shards);
    if (outbox.length > 0 || rows.length === 0) {
      await writer.write(rows);
      this.#isWritten = true;
    } else {
      this.#isWritten = await writer.tryWrite(rows);
    }
  }

  #intents(deltas: readonly TargetDelta[]): Intents {
    if (deltas.length === 0) return NONE;
    const groups = byShard(deltas, ({ target }) => target, this.destination.buffer.shards);
    return new Map([...groups].map(([shard, group]) => [shard, { id: this.id, deltas: group }]));
  }
}
