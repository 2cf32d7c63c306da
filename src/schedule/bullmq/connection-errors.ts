import { BufferUnavailableError } from '../../errors';
import { Outage } from '../../outage';
import { redact } from '../../redact';

/** Errors that follow one another within this time are of one outage, ms: an attempt takes 10 s at most, and a pause 2 s. */
const OUTAGE = 30_000;

/** Passes errors of connections on, each kind once per outage; all that say that there is no connection are of one kind. */
export class ConnectionErrors {
  readonly #outage: Outage;

  /** `now` is a monotonic clock, ms. */
  constructor(report: (error: unknown) => void, now?: () => number) {
    this.#outage = new Outage(report, { quiet: OUTAGE, ...(now === undefined ? {} : { now }) });
  }

  /** Takes an error of a connection. */
  report(error: unknown): void {
    redact(error);
    if (isConnectionError(error)) this.#outage.failed(lost(error), { kind: 'connection' });
    else this.#outage.failed(isRefusal(error) ? refused(error) : error);
  }
}

/** Redis answered a command with an error, and would do so again at once. */
export function isRefusal(error: unknown): error is Error {
  return ((error ?? {}) as Partial<Error>).name === 'ReplyError';
}

/** `ECONNREFUSED`, `EAI_AGAIN`; not Node's own, `ERR_…`. */
const SYSTEM = /^E(?!RR_)[A-Z]+(_[A-Z]+)*$/;

/** What is said of commands that have no connection, or got no answer, and of a connection that is cut. */
const UNSENT =
  /^(Connection is closed\.|Stream isn't writeable|nothing came from Redis|Command timed out|Reached the max retries)/;

/** System errors, and commands that could not be sent. */
function isConnectionError(error: unknown): error is NodeJS.ErrnoException {
  const { code = '', message = '' } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  return SYSTEM.test(code) || UNSENT.test(message);
}

function lost(cause: NodeJS.ErrnoException): BufferUnavailableError {
  const { code = cause.message } = cause;
  const advice = 'Workers apply what waits in the outbox meanwhile; connections come back by themselves.';
  return new BufferUnavailableError(`the queue has no connection to Redis (${code}). ${advice}`, { code }, { cause });
}

function refused(cause: Error): BufferUnavailableError {
  const advice =
    'It is tried again every 2 s; workers sweep meanwhile. Look at its memory, its role, and the permissions that docs/redis.md lists.';
  return new BufferUnavailableError(`Redis refused a command of the queue: ${cause.message}. ${advice}`, {}, { cause });
}
