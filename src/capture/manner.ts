import type { DataSource } from 'typeorm';

import { ConfigurationError } from '../errors';
import { wrapOnce } from './wrap-once';

/** How the driver is to send a statement, where TypeORM cannot tell it. */
export interface Manner {
  /** Every connection prepares the text under this name, once. */
  readonly name: string;
  readonly text: string;
  /** Told what it failed with. */
  readonly onError: (error: unknown) => void;
}

/** Where the parameters of a statement keep how it is sent: a symbol that two copies of this package share. */
const MANNER = Symbol.for('typeorm-counter-cache.manner');
const WRAPPED = Symbol.for('typeorm-counter-cache.manner.wrapped');

type Marked = unknown[] & { [MANNER]?: Manner | undefined };

/** Has the statement that is sent with this very array of parameters sent in this manner; `null` as usual. */
export function sendAs(parameters: Marked, manner: Manner | null): void {
  parameters[MANNER] = manner ?? undefined;
}

/** How the statement with these parameters is, or was, sent. */
export function mannerOf(parameters: unknown): Manner | null {
  return (parameters as Marked | null | undefined)?.[MANNER] ?? null;
}

/** `pg`'s client, as far as it is needed. */
interface Client {
  query: Query;
}

type Query = (this: Client, ...args: unknown[]) => unknown;

/**
 * Lets the clients of a DataSource's pool send statements in a {@link Manner}, once per process.
 *
 * @throws ConfigurationError when the driver's clients are not `pg`'s
 */
export function wrapClients({ driver }: DataSource): void {
  const { master } = driver as { readonly master?: { readonly Client?: { readonly prototype?: Client } } };
  const prototype = master?.Client?.prototype;
  if (prototype === undefined) {
    const advice = 'Leave the option `preparedStatements` away';
    throw new ConfigurationError([`INSERTs cannot be prepared: the driver is not \`pg\`. ${advice}`]);
  }
  wrapOnce(prototype, 'query', WRAPPED, (original) => {
    return function (this: Client, ...args: unknown[]): unknown {
      const [text, values] = args;
      const manner = mannerOf(values);
      // As TypeORM calls it, with a text and without a callback; and as it was named: others may add comments to texts.
      if (manner === null || text !== manner.text || args.length > 2) return original.apply(this, args);
      const answer = original.call(this, { text, name: manner.name }, values) as Promise<unknown>;
      answer.catch(manner.onError);
      return answer;
    };
  });
}
