import { DataSource, type EntityManager } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import type { Environment } from '../environment';
import { ENTITIES, POPULAR } from './entities';

/** Rows with counters. */
export const TARGETS = 10_000;
const SOURCES = 1_000_000;

/** A DataSource with a million sources whose counters are right. */
export interface World {
  readonly dataSource: DataSource;
  readonly counters: Counters;
  /** Without counters, for what is written by hand: they protect their columns. */
  readonly plain: DataSource;
  readonly redisUrl: string;
}

/** Creates and fills its tables. */
export async function createWorld({ databaseUrl, redisUrl }: Environment): Promise<World> {
  const [dataSource, plain] = [newDataSource(databaseUrl), newDataSource(databaseUrl)];
  const counters = await Counters.attach(dataSource, { redis: redisUrl });
  await dataSource.initialize();
  await dataSource.synchronize();
  await populate(dataSource.manager);
  return { dataSource, counters, plain: await plain.initialize(), redisUrl };
}

function newDataSource(url: string): DataSource {
  return new DataSource({ type: 'postgres', url, entities: ENTITIES, poolSize: 20 });
}

/** Sources come in no order, as they are written in life: those of one target lie all over the table. */
async function populate(manager: EntityManager): Promise<void> {
  await manager.query(`INSERT INTO author (id) SELECT generate_series(1, ${TARGETS})`);
  await manager.query(
    `INSERT INTO post (title, published, likes, "authorId")
     SELECT repeat('A title of some length. ', 4), i % 2 = 0, i % 101, (i::bigint * 7919) % ${TARGETS} + 1
     FROM generate_series(1, ${SOURCES}) AS i`,
  );
  await manager.query(
    `UPDATE author a SET "postsCount" = s.posts, "publishedCount" = s.published, "likesSum" = s.likes, "popularCount" = s.popular
     FROM (SELECT "authorId", count(*) AS posts, count(*) FILTER (WHERE published) AS published, sum(likes) AS likes,
             count(*) FILTER (WHERE likes >= ${POPULAR}) AS popular
           FROM post GROUP BY "authorId") s WHERE s."authorId" = a.id`,
  );
  await manager.query('VACUUM ANALYZE author, post');
}

/** Closes its connections. */
export async function destroyWorld({ dataSource, counters, plain }: World): Promise<void> {
  await counters.close();
  await plain.destroy();
  await dataSource.destroy();
}
