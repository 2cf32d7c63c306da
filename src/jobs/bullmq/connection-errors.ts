import { BufferUnavailableError } from '../../errors';

/** Connection errors that follow one another within this time are of one outage, ms: an attempt takes 10 s at most, and a pause 2 s. */
const OUTAGE = 30_000;

/** Passes errors on; of those with which each attempt to connect fails, only the first of an outage. */
export class ConnectionErrors {
  readonly #report: (error: unknown) => void;
  readonly #now: () => number;
  #last = -Infinity;

  /** `now` is a monotonic clock, ms. */
  constructor(report: (error: unknown) => void, now: () => number = () => performance.now()) {
    this.#report = report;
    this.#now = now;
  }

  /** Takes an error of a connection; system errors, and commands that could not be sent, are told once per outage. */
  tell(error: unknown): void {
    if (!isConnectionError(error)) {
      this.#report(error);
      return;
    }
    const last = this.#last;
    this.#last = this.#now();
    if (this.#last - last > OUTAGE) this.#report(lost(error));
  }
}

/** `ECONNREFUSED`, `EAI_AGAIN`; not Node's own, `ERR_…`. */
const SYSTEM = /^E(?!RR_)[A-Z]+(_[A-Z]+)*$/;

/** What ioredis says of commands that have no connection. */
const UNSENT = /^(Connection is closed\.|Stream isn't writeable)/;

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
