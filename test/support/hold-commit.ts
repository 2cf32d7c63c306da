import type { DataSource, QueryEvent, QueryRunner } from 'typeorm';

import { until } from './until';

/** A COMMIT that waits until it is let go. */
export interface HeldCommit {
  /** Resolves when it is held: what is captured is published by then. */
  readonly held: () => Promise<unknown>;
  readonly letGo: () => void;
}

/** Holds the COMMIT of one query runner, behind the library's own subscriber. */
export function holdCommit(dataSource: DataSource, runner: QueryRunner): HeldCommit {
  let isHeld = false;
  let letGo = (): void => undefined;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  dataSource.subscribers.push({
    beforeQuery: ({ query, queryRunner }: QueryEvent) => {
      if (query !== 'COMMIT' || queryRunner !== runner) return undefined;
      isHeld = true;
      return gate;
    },
  } as object);
  return { held: () => until(() => isHeld), letGo };
}
