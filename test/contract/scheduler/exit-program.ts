// Does a worker's work, tells that it has, waits for its parent's word, closes, and has to end by itself.
import { once } from 'node:events';

import { BullMqScheduler } from '../../../src/schedule/bullmq/bullmq-scheduler';
import { wakeUp, Probe } from './harness';

async function main(): Promise<void> {
  const [scheduler, probe] = [
    new BullMqScheduler({
      connection: { host: '127.0.0.1', port: Number(process.env['PORT']) },
      queueName: 'exit',
      onError: () => undefined,
    }),
    new Probe(),
  ];
  await scheduler.start(probe.handler, { concurrency: 2 });
  if (process.env['CONNECTED'] === 'yes') {
    await scheduler.schedule([wakeUp(), wakeUp({ delay: 60_000 })]);
    await probe.calls(1);
  } else {
    await scheduler.schedule([wakeUp()]).catch(() => undefined);
  }
  const word = once(process, 'message');
  process.send?.('ready');
  await word;
  process.disconnect();
  await scheduler.close();
}

void main();
