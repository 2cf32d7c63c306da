// A process in which nothing is ever attached; it takes one sample whenever it is asked to.
import 'reflect-metadata';

import { OPERATIONS } from './operations';
import { newDataSource, Subject } from './subject';

/** Opens the operation of this name, or takes a sample of the open one. */
export interface Request {
  readonly open?: string;
}

async function main(): Promise<void> {
  const [, , databaseUrl] = process.argv;
  if (databaseUrl === undefined || process.send === undefined) throw new Error('started by the benchmark only');
  const subject = new Subject('never attached', await newDataSource(databaseUrl).initialize());
  const answer = async ({ open }: Request): Promise<void> => {
    const operation = OPERATIONS.find(({ name }) => name === open);
    if (operation !== undefined) await subject.open(operation);
    process.send?.(operation === undefined ? await subject.sample() : 'open');
  };
  process.on('message', (request: Request) => void answer(request));
  process.on('disconnect', () => void subject.close());
  process.send('ready');
}

void main();
