import type { DataSource, QueryRunner } from 'typeorm';

import { isClientInTransaction } from './connection-status';
import { wrapOnce } from './wrap-once';

/** Where a DataSource keeps who is asked before a connection is given back: a symbol that two copies of this package share. */
const HOOK = Symbol.for('typeorm-counter-cache.release');
const WRAPPED = Symbol.for('typeorm-counter-cache.release.wrapped');

/** Sees to connections that are given back to the pool. */
export interface ReleaseGuard {
  /** Whether {@link beforeRelease} has to be awaited before this query runner is released. */
  isHeld(runner: QueryRunner): boolean;
  beforeRelease(runner: QueryRunner): Promise<void>;
}

type Guarded = DataSource & { [HOOK]?: ReleaseGuard | undefined };
type Obtained = readonly [client: unknown, release: (error?: Error) => void];

/** TypeORM's PostgresDriver as seen from inside. */
interface Driver {
  obtainMasterConnection?: () => Promise<Obtained>;
}

/**
 * Keeps connections that are in a transaction out of the pool: none is given back by a query runner before the guard has seen
 * to it, and one that was left there by other means is closed instead of being handed to a query runner.
 *
 * @returns a function that ends it
 */
export function guardPool(dataSource: DataSource, guard: ReleaseGuard): () => void {
  const guarded: Guarded = dataSource;
  wrapRelease(Object.getPrototypeOf(dataSource.createQueryRunner()) as QueryRunner);
  guarded[HOOK] = guard;
  const stopRefusing = refuseOpenConnections(dataSource.driver);
  return () => {
    if (guarded[HOOK] === guard) guarded[HOOK] = undefined;
    stopRefusing();
  };
}

function wrapRelease(prototype: QueryRunner): void {
  wrapOnce(prototype, 'release', WRAPPED, (original) => {
    return function (this: QueryRunner): Promise<void> {
      const guard = (this.dataSource as Guarded)[HOOK];
      if (guard === undefined || this.isReleased || !guard.isHeld(this)) return original.call(this);
      return guard.beforeRelease(this).then(() => original.call(this));
    };
  });
}

function refuseOpenConnections(driver: Driver): () => void {
  const { obtainMasterConnection: original } = driver;
  if (original === undefined) return () => undefined;
  const obtain = async (): Promise<Obtained> => {
    for (;;) {
      const obtained = await original.call(driver);
      const [client, release] = obtained;
      if (isClientInTransaction(client) !== true) return obtained;
      release(new Error('it is in a transaction that its caller has left'));
    }
  };
  driver.obtainMasterConnection = obtain;
  return () => {
    if (driver.obtainMasterConnection === obtain) Reflect.deleteProperty(driver, 'obtainMasterConnection');
  };
}
