// A worker, or a writer with several clients, that ends as README.md says: at the first signal it closes.
import { closeOnSignal, Counters, type Mode } from 'typeorm-counter-cache';

import { Author, Post } from '../../integration/blog';
import { redisUrl } from '../../support/redis';
import { newDataSource } from '../../support/setup';
import { SHUTDOWN_OPTIONS } from './settings';

const { PROGRAM_DATABASE = '', PROGRAM_ROLE, PROGRAM_MODE } = process.env;

/** How far it is. */
const state = { isEnding: false };

async function write({ manager }: ReturnType<typeof newDataSource>): Promise<void> {
  const authors = await manager.find(Author);
  for (let i = 0; !state.isEnding; i++) {
    await manager.insert(Post, { authorId: authors[i % authors.length]?.id ?? 0 });
    if (i === 20) process.send?.('busy');
  }
}

async function main(): Promise<void> {
  const dataSource = newDataSource(PROGRAM_DATABASE, [Author, Post], { synchronize: false });
  const mode = PROGRAM_MODE as Mode;
  const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...SHUTDOWN_OPTIONS, mode });
  counters
    .on('error', (error) => process.send?.(`error ${String(error)}`))
    .on('reconciled', () => process.send?.('busy'));
  await dataSource.initialize();
  let writing: Promise<unknown> = Promise.resolve();
  closeOnSignal(async () => {
    state.isEnding = true;
    process.send?.('closing');
    await writing;
    const closing = counters.close();
    if (counters.close() !== closing) throw new Error('close() did it twice');
    await closing;
    await dataSource.destroy();
  });
  if (PROGRAM_ROLE === 'writer') writing = Promise.all(Array.from({ length: 4 }, () => write(dataSource)));
  else await counters.startWorker();
  process.send?.('ready');
}

void main();
