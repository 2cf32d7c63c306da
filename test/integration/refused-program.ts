// Is refused by its Redis, and must then end by itself: nothing of the attempt may keep the event loop alive.
import { Counters } from 'typeorm-counter-cache';

import { newDataSource, TEST_OPTIONS } from '../support/setup';
import { Author, Post } from './blog';

async function main(): Promise<void> {
  const dataSource = newDataSource(process.env['PROGRAM_DATABASE'] ?? '', [Author, Post]);
  const redis = process.env['PROGRAM_REDIS'] ?? '';
  const attached = await Counters.attach(dataSource, { ...TEST_OPTIONS, redis, attachTimeout: 300 }).catch(() => null);
  if (attached !== null) throw new Error('expected Redis not to answer');
  process.disconnect();
}

void main();
