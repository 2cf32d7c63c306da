import { AsyncLocalStorage } from 'node:async_hooks';

import type { DataSource, QueryRunner } from 'typeorm';

import { BufferUnavailableError, notInitialized } from '../../errors';
import { withTimeout } from '../../time-limit';

/**
 * When our own work goes over the connection beside the pool. `full`: while the pool has none to give, since all may be held
 * by transactions that wait for this very work. `always`: in any case. `urgent`: in any case, and what is not urgent is cut
 * off when it holds the connection for 5 s.
 */
export type Beside = 'full' | 'always' | 'urgent';

/** `pg`'s pool and its clients, as far as they are needed. */
interface Client {
  end(): Promise<void>;
}
type Taken = (error: Error | undefined, client: Client, release: (error?: Error) => void) => void;
interface Pool {
  readonly options: Readonly<Record<string, unknown>> & { readonly max?: number; readonly password?: unknown };
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
  connect(taken: Taken): void;
  on(event: 'error', listener: () => void): unknown;
  end(): Promise<void>;
}
type PoolClass = new (options: object) => Pool;

/** The longest that a connection is waited for to close, ms. */
const CLOSE_TIMEOUT = 1_000;

/** How long urgent work waits before it cuts off what holds the connection, ms: the holder may be waiting for it. */
const URGENT_PATIENCE = 5_000;

/** What one call has chosen; it names that call. */
interface Choice {
  readonly when: Beside;
  /** The call is not waited for any more: it gets no connection again. */
  isGivenUp?: boolean;
}

/** What has the connection. */
interface Holder {
  readonly client: Client;
  readonly choice: Choice;
  isGivenBack: boolean;
}

const chosen = new AsyncLocalStorage<Choice>();

/**
 * Lets our own work inside `work` go over the connection beside the pool. It is one connection: what has it must not wait
 * for other work that needs it.
 */
export function besidePool<T>(when: Beside, work: () => Promise<T>): Promise<T> {
  return chosen.run({ when }, work);
}

/** The same; after `limit` ms, gives up what `work` does there, and resolves with `null`. */
export async function besidePoolWithin<T>(
  dataSource: DataSource,
  { limit, when }: { readonly limit: number; readonly when: Beside },
  work: () => Promise<T>,
): Promise<T | null> {
  const choice: Choice = { when };
  const result = await withTimeout(chosen.run(choice, work), limit, null);
  if (result === null) sideConnectionOf(dataSource).giveUp(choice);
  return result;
}

/** Where a DataSource keeps its connection beside the pool: a symbol that two copies of this package share. */
const SIDE = Symbol.for('typeorm-counter-cache.side-connection');

type Host = DataSource & { [SIDE]?: SideConnection };

/** The one connection beside the pool that this process has for a DataSource. */
export function sideConnectionOf(dataSource: DataSource): SideConnection {
  const host: Host = dataSource;
  return (host[SIDE] ??= new SideConnection(dataSource));
}

/** The DataSource is about to be destroyed: what waits for the connection fails. */
export async function endSideConnection(dataSource: DataSource): Promise<void> {
  await (dataSource as Host)[SIDE]?.end();
}

/** Drops an ended side connection when its DataSource is initialized again. */
export function renewSideConnection(dataSource: DataSource): void {
  const host: Host = dataSource;
  if (host[SIDE]?.isEnded === true) delete host[SIDE];
}

/** A query runner for our own work: over the pool, or beside it. */
export function ownQueryRunner(dataSource: DataSource): QueryRunner {
  const runner = dataSource.createQueryRunner('master');
  const choice = chosen.getStore();
  if (choice === undefined || (choice.when === 'full' && hasFree(poolOf(dataSource)))) return runner;
  const side = sideConnectionOf(dataSource);
  // TypeORM's query runner asks its driver for a connection, and the driver for nothing else.
  const obtainMasterConnection = (): Promise<unknown> => side.obtain(choice);
  const driver: unknown = Object.create(dataSource.driver, {
    obtainMasterConnection: { value: obtainMasterConnection },
  });
  return Object.assign(runner, { driver });
}

function poolOf({ driver }: DataSource): Pool | undefined {
  return (driver as { readonly master?: Pool }).master;
}

function hasFree(pool: Pool | undefined): boolean {
  if (pool?.options.max === undefined) return true;
  return pool.idleCount + pool.options.max - pool.totalCount - pool.waitingCount > 0;
}

/**
 * A connection beside the pool, opened when it is first needed, kept, and shared by all that needs one: many at once would
 * run into the server's limit. One that breaks is opened again when it is needed next. It keeps no process alive.
 */
export class SideConnection {
  readonly #dataSource: DataSource;
  #pool: Pool | null = null;
  /** It is closed for good. */
  isEnded = false;
  /** What to call when the pool is closed: it never calls back what still waits for it. */
  readonly #waiting = new Set<() => void>();
  /** What has the connection now. */
  #holder: Holder | null = null;

  constructor(dataSource: DataSource) {
    this.#dataSource = dataSource;
  }

  /** As a driver's `obtainMasterConnection`: the connection, once it is free, and what gives it back. */
  async obtain(choice: Choice): Promise<readonly [Client, (error?: Error) => void]> {
    const patience = choice.when === 'urgent' ? setInterval(() => this.#giveUpOthers(), URGENT_PATIENCE) : undefined;
    try {
      return await this.#take(choice);
    } finally {
      clearInterval(patience);
    }
  }

  /** Gives up what this call does on the connection, if it has it: that fails, and the next gets another connection. */
  giveUp(choice: Choice): void {
    choice.isGivenUp = true;
    if (this.#holder?.choice === choice) this.#end(this.#holder);
  }

  /**
   * Waits 1 s at most. What waits for the connection gets another one: it may be used again, and has to be closed again
   * then.
   */
  async close(): Promise<void> {
    const pool = this.#pool;
    const holder = this.#holder;
    this.#pool = null;
    if (pool === null) return;
    // They wait again at once.
    const waiting = [...this.#waiting];
    for (const goElsewhere of waiting) goElsewhere();
    // Work that was given up may hold the connection until the buffer answers: not waited for.
    await withTimeout(pool.end(), CLOSE_TIMEOUT, undefined).catch(() => undefined);
    if (holder?.isGivenBack === false) this.#end(holder);
  }

  /** Closes it for good. */
  async end(): Promise<void> {
    this.isEnded = true;
    await this.close();
  }

  async #take(choice: Choice): Promise<readonly [Client, (error?: Error) => void]> {
    if (choice.isGivenUp === true) throw givenUp();
    this.#pool ??= this.#open();
    const pool = this.#pool;
    return new Promise((resolve, reject) => {
      let hasLeft = false;
      const goElsewhere = (): void => {
        hasLeft = true;
        this.#waiting.delete(goElsewhere);
        this.#take(choice).then(resolve, reject);
      };
      this.#waiting.add(goElsewhere);
      pool.connect((error, client, release) => {
        if (hasLeft) {
          if (error === undefined) release();
          return;
        }
        this.#waiting.delete(goElsewhere);
        if (error === undefined && choice.isGivenUp === true) {
          release();
          reject(givenUp());
          return;
        }
        if (error !== undefined) {
          reject(error);
          return;
        }
        const holder: Holder = { client, choice, isGivenBack: false };
        this.#holder = holder;
        const giveBack = (reason?: Error): void => {
          holder.isGivenBack = true;
          if (this.#holder === holder) this.#holder = null;
          release(reason);
        };
        resolve([client, giveBack]);
      });
    });
  }

  #giveUpOthers(): void {
    if (this.#holder !== null && this.#holder.choice.when !== 'urgent') this.#end(this.#holder);
  }

  #end({ client }: Holder): void {
    void client.end().catch(() => undefined);
  }

  /** As TypeORM has made the pool of the DataSource. */
  #open(): Pool {
    const model = poolOf(this.#dataSource);
    if (model === undefined || this.isEnded) throw notInitialized();
    // `pg` hides the password from a copy of the options.
    const { options } = model;
    const own = { max: 1, min: 0, idleTimeoutMillis: 0, allowExitOnIdle: true };
    const pool = new (model.constructor as PoolClass)({ ...options, password: options.password, ...own });
    // What breaks while it is idle is opened again.
    pool.on('error', () => undefined);
    return pool;
  }
}

function givenUp(): BufferUnavailableError {
  return new BufferUnavailableError('this call was given up, since the buffer did not answer in time');
}
