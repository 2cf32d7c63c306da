/** Stable identifiers of the errors this library throws. */
export type ErrorCode =
  /** Options, declarations or arguments are wrong. */
  | 'CONFIGURATION'
  /** A counted row yields an amount that its column cannot hold exactly; the write is rejected. */
  | 'BAD_AMOUNT'
  /** The library's own tables do not exist. */
  | 'TABLES_MISSING'
  /** The buffer (Redis) does not answer, or could not be handed something. */
  | 'BUFFER_UNAVAILABLE'
  /** Shards of the buffer lost their data; their targets are recounted. */
  | 'BUFFER_LOST'
  /** Used after `close()`. */
  | 'CLOSED'
  /** The DataSource is not initialized yet. */
  | 'NOT_INITIALIZED'
  /** This process and the installation, or this worker and the writers, do not fit together. */
  | 'STATE_MISMATCH'
  /** The database keeps rows, or privileges, from this process that it needs; the message says what to grant. */
  | 'NOT_PERMITTED'
  /** A write could not be captured and was not made. */
  | 'WRITE_FAILED'
  /** A write was seen that cannot be captured, and its targets have to be recalculated by hand. */
  | 'UNSEEN_WRITE'
  /** A target cannot be recounted, e.g. because its `method` throws. */
  | 'RECOUNT_FAILED'
  /** `flushAll()` of the entry point for tests could not apply everything in time. */
  | 'NOT_FLUSHED'
  /** `expectNoDrift()` of the entry point for tests found a column that is wrong. */
  | 'DRIFT';

/**
 * Root of every error this library throws.
 *
 * `code` is stable across releases; `context` carries the values that the message mentions.
 */
export class CounterCacheError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly context: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Declarations or options are wrong; `problems` lists every mistake found, each with its remedy. */
export class ConfigurationError extends CounterCacheError {
  constructor(readonly problems: readonly string[]) {
    const list = problems.map((problem) => `  - ${problem}`).join('\n');
    super('CONFIGURATION', `typeorm-counter-cache: ${problems.length} configuration problem(s):\n${list}`, {
      problems,
    });
  }
}

/**
 * The database keeps rows from this process, by row security, or privileges that it needs: nothing is guessed, so nothing
 * was done. `problems` lists all that is missing, each with the statement that grants it.
 */
export class NotPermittedError extends CounterCacheError {
  constructor(
    summary: string,
    readonly problems: readonly string[],
    context: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    const list = problems.map((problem) => `  - ${problem}`).join('\n');
    super('NOT_PERMITTED', `typeorm-counter-cache: ${summary}:\n${list}`, { problems, ...context }, options);
  }
}

/** A counted row yields an amount that its column cannot hold exactly, or a function of its counter throws; the write is rejected before COMMIT. */
export class AmountError extends CounterCacheError {
  constructor(message: string, context: Readonly<Record<string, unknown>>, options?: ErrorOptions) {
    super('BAD_AMOUNT', message, context, options);
  }
}

/** The library's own tables do not exist yet; `sql` creates them. */
export class TablesMissingError extends CounterCacheError {
  constructor(
    readonly sql: string,
    options?: ErrorOptions,
  ) {
    super(
      'TABLES_MISSING',
      `typeorm-counter-cache: its tables are missing. Run a migration with this SQL (or let \`synchronize\` create them by listing \`counterCacheEntities\` among the entities):\n${sql}`,
      { sql },
      options,
    );
  }
}

/** The buffer (Redis) does not answer, refused a call, or could not be handed something. */
export class BufferUnavailableError extends CounterCacheError {
  constructor(message: string, context: Readonly<Record<string, unknown>> = {}, options?: ErrorOptions) {
    super('BUFFER_UNAVAILABLE', message, context, options);
  }
}

/** The DataSource is not initialized yet. */
export function notInitialized(): CounterCacheError {
  const reason = 'the DataSource is not initialized: call dataSource.initialize() first';
  return new CounterCacheError('NOT_INITIALIZED', reason);
}
