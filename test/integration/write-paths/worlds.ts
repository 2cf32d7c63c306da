import type { DataSource } from 'typeorm';
import { InProcessScheduler } from 'typeorm-counter-cache';

import { recalculateDue } from '../../../src/recount/recalculate';
import { createDatabase } from '../../support/database';
import { type Fixture, newDataSource, setup } from '../../support/setup';
import { until } from '../../support/until';
import { type Internals, openInternals } from '../internals';
import * as blog from './entities/blog';
import * as catalogue from './entities/catalogue';
import * as forum from './entities/forum';
import * as places from './entities/places';
import type { World } from './write-path';

const ENTITIES: Function[] = [blog, catalogue, forum, places].flatMap((module) => Object.values<Function>(module));

/** TypeORM has no `SET DEFAULT`. */
const SHOP_KEY = `ALTER TABLE shop ADD FOREIGN KEY ("regionCode") REFERENCES region (code)
  ON UPDATE SET DEFAULT ON DELETE SET DEFAULT`;

/** Connections that were idle are not opened anew while something is measured. */
const DATA_SOURCE = { entities: ENTITIES, extra: { idleTimeoutMillis: 0 } };

/** One shard: calls to Redis are counted per touched shard. No worker, no wake-up: what is sent is the write's own. */
/** Nothing is sent but what the writes cost. */
const COUNTERS = { shards: 1, wait: 600_000, sweepInterval: 600_000 } as const;

/** The same schema twice: with counters, and without. */
export interface Worlds {
  readonly plain: World;
  readonly counted: World;
  /** Reported by the counters since the last look. */
  readonly takeErrors: () => unknown[];
  /** Pretends that the server is of this version. */
  readonly pretend: (version: string) => void;
  readonly settled: () => Promise<void>;
  readonly flush: () => Promise<unknown>;
  /** How many targets wait for a recount. */
  readonly recounts: () => Promise<number>;
  /** Applies all that is pending, requested recounts included. */
  readonly settle: () => Promise<void>;
  readonly recalculate: () => Promise<unknown>;
  readonly close: () => Promise<void>;
}

export async function openWorlds(): Promise<Worlds> {
  const scheduler = new InProcessScheduler();
  const fixture = await setup({ entities: ENTITIES, dataSource: DATA_SOURCE, counters: { ...COUNTERS, scheduler } });
  const internals = await openInternals(fixture.dataSource, COUNTERS);
  const database = await createDatabase();
  const plain = await newDataSource(database.url, ENTITIES, DATA_SOURCE).initialize();
  for (const dataSource of [plain, fixture.dataSource]) await dataSource.query(SHOP_KEY);
  return {
    ...jobs(fixture, internals),
    plain: plainWorld(plain),
    counted: countedWorld(fixture),
    takeErrors: () => fixture.errors.splice(0),
    pretend: (version) => ((fixture.dataSource.driver as { version?: string }).version = version),
    close: async () => {
      await internals.close();
      await fixture.close();
      await plain.destroy();
      await database.drop();
    },
  };
}

function plainWorld(dataSource: DataSource): World {
  const { manager } = dataSource;
  return { dataSource, manager, skip: (work) => work(), track: (own, _source, _where, work) => work(own) };
}

function countedWorld({ dataSource, counters }: Fixture): World {
  const { manager } = dataSource;
  return { dataSource, manager, skip: (work) => counters.skip(work), track: (...args) => counters.track(...args) };
}

function jobs(
  { counters }: Fixture,
  { context }: Internals,
): Pick<Worlds, 'settled' | 'flush' | 'recounts' | 'settle' | 'recalculate'> {
  return {
    settled: () => counters.settled(),
    flush: () => counters.flush(),
    recounts: async () => (await counters.status()).recalculations,
    settle: async () => {
      await counters.settled();
      await until(async () => {
        await recalculateDue(context, 0);
        await counters.flush();
        const { dirty, batches, intents, recalculations } = await counters.status();
        return dirty + batches + intents + recalculations === 0;
      });
    },
    recalculate: () => counters.recalculate(),
  };
}
