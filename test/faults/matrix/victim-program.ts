import 'reflect-metadata';

import { once } from 'node:events';
import { inspect } from 'node:util';

import type { DataSource } from 'typeorm';

import { Counters } from 'typeorm-counter-cache';

import { RedisBuffer } from '../../../src/engines/buffered/redis/redis-buffer';
import { redisUrl } from '../../support/redis';
import { newDataSource, TEST_OPTIONS } from '../../support/setup';
import { dieAt } from './die-at';
import { ENTITIES } from './entities';
import { POINTS } from './points';
import { VICTIM, type VictimOrders } from './victim';
import { write, writeLast } from './workload';

async function main(): Promise<void> {
  const told = once(process, 'message');
  const orders = JSON.parse(process.env['ORDERS'] ?? '') as VictimOrders;
  const point = POINTS[orders.point];
  const place = orders.left ? point?.left?.place : point?.place;
  if (place === undefined) throw new Error('there is no such point');
  let isArmed = orders.role !== 'writer';
  if (point?.group === 'hand-off without an answer') loseAnswers(() => isArmed);
  dieAt(place, orders.when, orders.fate, () => isArmed);
  const dataSource = newDataSource(orders.databaseUrl, ENTITIES, { synchronize: false, applicationName: VICTIM });
  const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...TEST_OPTIONS, ...orders.counters });
  counters.on('error', (error) => {
    if ((error as { code?: unknown }).code !== 'BUFFER_LOST') process.stderr.write(`${inspect(error)}\n`);
  });
  await dataSource.initialize();
  if (orders.role === 'worker') await counters.startWorker();
  if (orders.role === 'writer') await writeUpToLast(dataSource, counters, () => (isArmed = true));
  // Those that were asleep finish what they had begun.
  else await told;
  await counters.close();
  process.exit();
}

async function writeUpToLast(dataSource: DataSource, counters: Counters, arm: () => void): Promise<void> {
  await write(dataSource, 0);
  // What is due already needs no wake-up.
  await counters.flush();
  arm();
  await writeLast(dataSource);
}

/** Announcements arrive, and are not known to. */
function loseAnswers(isArmed: () => boolean): void {
  const { prototype } = RedisBuffer;
  const announce: RedisBuffer['announce'] = Reflect.get(prototype, 'announce');
  prototype.announce = async function unanswered(this: RedisBuffer, ...args) {
    await announce.apply(this, args);
    if (isArmed()) throw new Error('no answer');
  };
}

void main();
