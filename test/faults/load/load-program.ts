// One process of a load run: a writer with several clients, or a worker. It goes on until it is killed, or told to stop.
import { Counters } from 'typeorm-counter-cache';

import { Random } from '../../integration/oracle/random';
import { redisUrl } from '../../support/redis';
import { newDataSource } from '../../support/setup';
import { note } from './journal';
import { LEAGUE } from './league';
import { LeagueWriter } from './league-writer';
import { LOAD_OPTIONS } from './settings';

const { PROGRAM_DATABASE = '', PROGRAM_ROLE, PROGRAM_NAME = '', PROGRAM_SEED, PROGRAM_JOURNAL = '' } = process.env;

const CLIENTS = 4;

function say(text: string): void {
  note(PROGRAM_JOURNAL, PROGRAM_NAME, text);
}

async function client(writer: LeagueWriter, number: number, isStopped: () => boolean): Promise<void> {
  await writer.open();
  while (!isStopped()) {
    const ending = await writer.write();
    say(`${number} ${ending}`);
  }
}

async function main(): Promise<void> {
  let stopped = false;
  const stop = new Promise<void>((resolve) => process.once('message', () => resolve()));
  void stop.then(() => (stopped = true));
  const dataSource = newDataSource(PROGRAM_DATABASE, LEAGUE, { synchronize: false, poolSize: 8 });
  const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...LOAD_OPTIONS });
  counters
    .on('error', (error) => say(`error ${String(error)}`))
    .on('degraded', () => say('degraded'))
    .on('recovered', () => say('recovered'))
    .on('drift', ({ drifts }) => say(`drift ${JSON.stringify(drifts)}`));
  await dataSource.initialize();
  process.send?.('ready');
  if (PROGRAM_ROLE === 'worker') {
    await counters.startWorker();
    await stop;
  } else {
    const writers = Array.from({ length: CLIENTS }, (_, i) => {
      const random = new Random(Number(PROGRAM_SEED) + i);
      return client(new LeagueWriter(dataSource, random, (text) => say(`${i} ${text}`)), i, () => stopped);
    });
    await Promise.all(writers);
  }
  await counters.close();
  await dataSource.destroy();
  process.disconnect();
}

main().catch((error: unknown) => {
  say(`FAILED ${error instanceof Error ? error.stack : String(error)}`);
  process.exit(1);
});
