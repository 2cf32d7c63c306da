import { Counters, type Mode } from 'typeorm-counter-cache';

import { Author, Post } from '../integration/blog';
import { redisUrl } from '../support/redis';
import { newDataSource, TEST_OPTIONS } from '../support/setup';
import { killAt } from './kill';
import type { KillPoint } from './programs';

async function main(): Promise<void> {
  const posts = Number(process.env['POSTS']);
  let written = 0;
  killAt(process.env['KILL_AT'] as KillPoint, () => written === posts);
  const dataSource = newDataSource(process.env['PROGRAM_DATABASE'] ?? '', [Author, Post], { synchronize: false });
  const counters = await Counters.attach(dataSource, {
    redis: redisUrl(),
    ...TEST_OPTIONS,
    mode: process.env['MODE'] as Mode,
  });
  await dataSource.initialize();
  while (written < posts) {
    written += 1;
    const post = { authorId: Number(process.env['AUTHOR']) };
    // In a transaction of its own, or as a statement by itself.
    if (process.env['ALONE'] === 'false') await dataSource.manager.save(Post, post);
    else await dataSource.manager.insert(Post, post);
  }
  await counters.close();
  await dataSource.destroy();
}

void main();
