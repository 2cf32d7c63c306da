import type { DataSource, EntitySubscriberInterface } from 'typeorm';

/** Statements that a DataSource has sent. */
export interface Statements {
  readonly count: number;
  /** Milliseconds of the slowest of them. */
  readonly longest: number;
}

/** Watches the statements of a DataSource until it is asked. */
export function watchStatements({ subscribers }: DataSource): () => Statements {
  let count = 0;
  let longest = 0;
  const subscriber: EntitySubscriberInterface = {
    beforeQuery: () => void (count += 1),
    afterQuery: ({ executionTime = 0 }) => void (longest = Math.max(longest, executionTime)),
  };
  subscribers.push(subscriber);
  return () => {
    subscribers.splice(subscribers.indexOf(subscriber), 1);
    return { count, longest };
  };
}
