// A process of one build of the library: it writes, or applies what it has written, when it is asked to.
import 'reflect-metadata';

import { serve } from '../child';
import { Subject } from './subject';
import type { Task } from './tasks';

/** What a client is asked: for a sample, or for the number of authors whose count is wrong. */
export type RevisionRequest = { readonly task: Task; readonly seconds: number } | 'wrong';

async function main(): Promise<void> {
  const [, , root = '', url = '', redis = '', prefix = '', options = '{}'] = process.argv;
  const subject = await Subject.open({ root, url, redis, prefix, options: JSON.parse(options) as object });
  serve(
    async (given) => {
      const request = given as RevisionRequest;
      return request === 'wrong' ? subject.wrong() : subject.sample(request.task, request.seconds);
    },
    () => subject.close(),
  );
}

void main();
