// A process in which nothing is ever attached; it takes one sample whenever it is asked to.
import 'reflect-metadata';

import { serve } from '../child';
import { OPERATIONS } from './operations';
import { newDataSource, Subject } from './subject';

/** Opens the operation of this name, or takes a sample of the open one. */
export interface Request {
  readonly open?: string;
}

async function main(): Promise<void> {
  const [, , databaseUrl] = process.argv;
  if (databaseUrl === undefined) throw new Error('started by the benchmark only');
  const subject = new Subject('never attached', await newDataSource(databaseUrl).initialize());
  serve(
    async (request) => {
      const { open } = request as Request;
      const operation = OPERATIONS.find(({ name }) => name === open);
      if (operation === undefined) return subject.sample();
      await subject.open(operation);
      return 'open';
    },
    () => subject.close(),
  );
}

void main();
