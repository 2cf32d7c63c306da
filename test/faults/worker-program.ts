import { Counters, type Mode } from 'typeorm-counter-cache';

import { Author, Post } from '../integration/blog';
import { redisUrl } from '../support/redis';
import { newDataSource, TEST_OPTIONS } from '../support/setup';
import { killAt } from './kill';
import type { KillPoint } from './programs';

async function main(): Promise<void> {
  killAt(
    process.env['KILL_AT'] as KillPoint,
    (result) => result === null || (result as { batch?: unknown }).batch !== null,
  );
  const dataSource = newDataSource(process.env['PROGRAM_DATABASE'] ?? '', [Author, Post], { synchronize: false });
  const counters = await Counters.attach(dataSource, {
    redis: redisUrl(),
    ...TEST_OPTIONS,
    mode: process.env['MODE'] as Mode,
    claimTimeout: 300,
    intentTimeout: 300,
  });
  counters.on('error', (error) => {
    if ((error as { code?: unknown }).code !== 'BUFFER_LOST') process.stderr.write(`${String(error)}\n`);
  });
  await dataSource.initialize();
  await counters.startWorker();
  process.send?.('ready');
}

void main();
