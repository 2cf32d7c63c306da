import { Counters, type Mode } from 'typeorm-counter-cache';

import { Author, Post } from '../integration/blog';
import { redisUrl } from '../support/redis';
import { newDataSource, TEST_OPTIONS } from '../support/setup';
import { skewClock } from './skewed-clock';

/** Writes a post to every author each time it is told to, or runs a worker, by a clock that is wrong. */
async function main(): Promise<void> {
  skewClock(Number(process.env['SKEW']));
  const dataSource = newDataSource(process.env['PROGRAM_DATABASE'] ?? '', [Author, Post], { synchronize: false });
  const counters = await Counters.attach(dataSource, {
    redis: redisUrl(),
    ...TEST_OPTIONS,
    mode: process.env['MODE'] as Mode,
  });
  counters.on('error', (error) => process.stderr.write(`${String(error)}\n`));
  await dataSource.initialize();
  if (process.env['ROLE'] === 'worker') await counters.startWorker();
  process.on('message', (authors: number[]) => {
    void dataSource.manager
      .insert(
        Post,
        authors.map((authorId) => ({ authorId, likes: 2, published: true })),
      )
      .then(() => counters.settled())
      .then(() => process.send?.('written'));
  });
  process.send?.('ready');
}

void main();
