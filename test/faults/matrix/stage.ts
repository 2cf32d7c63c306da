import type { CountersOptions, Mode } from 'typeorm-counter-cache';

import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import type { Fate } from './die-at';
import { ENTITIES, Post } from './entities';
import type { When } from './place';
import { type Group, type Point, POINTS } from './points';
import { deleteShards, isDue } from './quiet';
import { type Role, runVictim, type VictimOrders } from './victim';
import { seed, write } from './workload';

/** One cell of the matrix. */
export interface Case {
  readonly point: Point;
  readonly when: When;
  readonly mode: Mode;
}

const ROLES: Readonly<Record<Group, Role>> = {
  'hand-off': 'writer',
  'hand-off without an answer': 'writer',
  reconcile: 'worker',
  'outbox drain': 'worker',
  'outbox requests': 'worker',
  recalculation: 'worker',
  sweep: 'worker',
  'lost shard': 'attached',
  'changed definition': 'worker',
};

/** Where a recount is under way. */
const RECOUNTED: ReadonlySet<Group> = new Set(['outbox requests', 'recalculation']);

/** Where something has to be claimed; in `outbox`, only what a recount corrects is. */
const CLAIMED: ReadonlySet<Group> = new Set(['reconcile', 'sweep']);

/** Whether the process that dies is one of the application, in a transaction of its own. */
export function isWriter({ group }: Point): boolean {
  return ROLES[group] === 'writer';
}

/** A database with everything that leads to the point of a case, and what to tell its victim. */
export async function setStage(
  { point, when, mode }: Case,
  fate: Fate,
): Promise<{ fixture: Fixture; orders: VictimOrders }> {
  const options = optionsOf(point.group, mode);
  const fixture = await setup({ entities: ENTITIES, counters: options });
  const told = { databaseUrl: fixture.databaseUrl, counters: options, point: POINTS.indexOf(point) };
  try {
    await seed(fixture.dataSource);
    await fixture.counters.flush();
    if (!isWriter(point)) await prepare(fixture, point.group, mode);
    const { left } = point;
    if (left !== undefined) await runVictim({ ...told, role: left.by, left: true, when: left.when, fate: 'SIGKILL' });
    return { fixture, orders: { ...told, role: ROLES[point.group], left: false, when, fate } };
  } catch (error) {
    await fixture.close();
    throw error;
  }
}

function optionsOf(group: Group, mode: Mode): Partial<CountersOptions> {
  // With one shard, one recount covers all authors: what a dead worker left to do does not depend on who came first.
  const shards = ROLES[group] === 'worker' ? 1 : 2;
  return { mode, shards, redisTimeout: 2_000, claimTimeout: 300, intentTimeout: 300 };
}

async function prepare(fixture: Fixture, group: Group, mode: Mode): Promise<void> {
  const { dataSource, counters } = fixture;
  await write(dataSource, 1);
  if (RECOUNTED.has(group) || (CLAIMED.has(group) && mode === 'outbox')) await spoil(fixture);
  if (group === 'changed definition') await changeDefinition(fixture);
  await counters.settled();
  if (group === 'lost shard') await deleteShards(fixture);
  else await until(() => isDue(fixture));
}

/** Makes columns wrong behind the library's back, and has all of them recounted. */
async function spoil({ dataSource, counters }: Fixture): Promise<void> {
  await dataSource.query('UPDATE author SET "postsCount" = "postsCount" + 100');
  await counters.track(dataSource.manager, Post, {}, (manager) => manager.query('UPDATE post SET likes = likes + 1'));
}

/** As after a change of what `postsCount` counts, once no process counts by the old definition any more. */
async function changeDefinition({ dataSource }: Fixture): Promise<void> {
  await dataSource.query('UPDATE author SET "postsCount" = "postsCount" + 100');
  await dataSource.query(`INSERT INTO counter_cache_state VALUES ('recount:author:id', '{}')`);
}
