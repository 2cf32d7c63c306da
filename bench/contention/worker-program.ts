// The worker process: it applies what the clients of this library's variants leave, and those of the naive one.
import 'reflect-metadata';

import { DataSource } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import { serve } from '../child';
import { entitiesOf } from './entities';
import { naiveIsIdle, startNaiveWorker } from './naive';
import { TIMES } from './settings';
import { VARIANTS } from './variants';

async function main(): Promise<void> {
  const [, , url = '', redis = ''] = process.argv;
  const entities = VARIANTS.filter(({ mode }) => mode !== null).flatMap(({ name, mode }) => {
    const { author, post } = entitiesOf(name, mode);
    return [author, post];
  });
  const dataSource = new DataSource({ type: 'postgres', url, entities });
  const counters = await Counters.attach(dataSource, { redis, ...TIMES });
  await dataSource.initialize();
  await counters.startWorker();
  const naive = startNaiveWorker(redis, dataSource, 'author_naive');
  serve(
    async () => {
      await counters.flush();
      await naiveIsIdle(redis);
      return {};
    },
    async () => {
      await naive.close();
      await counters.close();
      await dataSource.destroy();
    },
  );
}

void main();
