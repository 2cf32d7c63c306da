import { DataSource } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import type { Environment } from '../environment';
import { ENTITIES, Post } from './entities';

/** Numbers of children, the authors that have so many, and how often in a batch they are counted. */
export const FAMILIES = [
  { children: 10, id: 1, calls: 50 },
  { children: 10_000, id: 2, calls: 10 },
  { children: 1_000_000, id: 3, calls: 1 },
] as const;

/** Authors without and with pending deltas. */
const QUIET = [1_001, 2_000] as const;
const PENDING = [2_001, 3_000] as const;

/** One that has pending deltas. */
export const PENDING_AUTHOR = PENDING[0];

/** Ids of authors without pending deltas. */
export function quietAuthors(): number[] {
  return idsFrom(QUIET);
}

/** Ids of authors with pending deltas. */
export function pendingAuthors(): number[] {
  return idsFrom(PENDING);
}

function idsFrom([first, last]: readonly [number, number]): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** A DataSource with counted rows, some of which have deltas that nobody applies. */
export interface World {
  readonly dataSource: DataSource;
  readonly counters: Counters;
}

/** Creates and fills its tables. */
export async function createWorld({ databaseUrl, redisUrl }: Environment): Promise<World> {
  const dataSource = new DataSource({ type: 'postgres', url: databaseUrl, entities: ENTITIES, poolSize: 5 });
  // No worker runs: what is pending stays pending.
  const counters = await Counters.attach(dataSource, { redis: redisUrl });
  await dataSource.initialize();
  await dataSource.synchronize();
  await populate(dataSource);
  await dataSource.manager.insert(
    Post,
    pendingAuthors().map((authorId) => ({ authorId })),
  );
  await counters.settled();
  return { dataSource, counters };
}

async function populate(dataSource: DataSource): Promise<void> {
  for (const table of ['author', 'plain_author']) {
    await dataSource.query(
      `INSERT INTO ${table} (id, name) SELECT i, 'Author number ' || i FROM generate_series(1, ${PENDING[1]}) AS i`,
    );
  }
  for (const { children, id } of FAMILIES) {
    await dataSource.query(`INSERT INTO post ("authorId") SELECT ${id} FROM generate_series(1, ${children})`);
  }
  await dataSource.query(
    `UPDATE author a SET "postsCount" = (SELECT count(*) FROM post p WHERE p."authorId" = a.id) WHERE id <= ${FAMILIES.length}`,
  );
  await dataSource.query('VACUUM ANALYZE author, plain_author, post');
}

/** Closes its connections. */
export async function destroyWorld({ dataSource, counters }: World): Promise<void> {
  await counters.close();
  await dataSource.destroy();
}
