// Uses all there is, closes it, and must then end by itself: nothing may keep the event loop alive.
import { Counters } from 'typeorm-counter-cache';

import { newDataSource, TEST_OPTIONS } from '../support/setup';
import { Author, Post } from './blog';

async function main(): Promise<void> {
  const dataSource = newDataSource(process.env['PROGRAM_DATABASE'] ?? '', [Author, Post]);
  const counters = await Counters.attach(dataSource, { redis: process.env['PROGRAM_REDIS'] ?? '', ...TEST_OPTIONS });
  await dataSource.initialize();
  await counters.startWorker();
  const { id } = await dataSource.manager.save(Author, { name: 'a' });
  await dataSource.manager.insert(Post, { authorId: id });
  await counters.flush();
  await counters.recalculate();
  if (process.env['PROGRAM_DESTROYS_FIRST'] === 'true') await dataSource.destroy();
  await counters.close();
  if (dataSource.isInitialized) await dataSource.destroy();
  // The channel to the parent keeps a process alive, too.
  process.disconnect();
}

void main();
