import { type Redis, type RedisOptions, ReplyError } from 'ioredis';

import { BufferUnavailableError } from '../../../errors';
import { redact } from '../../../redact';

/** Answers of a server that may be others in a moment. */
const TRANSIENT = /^(LOADING|BUSY|MASTERDOWN|TRYAGAIN|READONLY|ERR max number of clients)/;

/** Codes of certificates that are refused: no further attempt will like them. */
const CERTIFICATE = /^(ERR_TLS_CERT|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|CERT_|CRL_|HOSTNAME_MISMATCH)/;

/** Watches the first attempts to connect, so that what keeps them from it can be said. */
export class ConnectionAttempt {
  readonly #where: string;
  readonly #clients: readonly Redis[];
  #last: unknown = null;
  #isHungUp = false;
  #refuse: (error: unknown) => void = () => undefined;
  /** Rejects with the first answer that no further attempt changes. */
  readonly refused = new Promise<never>((_resolve, reject) => (this.#refuse = reject));

  constructor(clients: readonly Redis[], where: string) {
    this.#clients = clients;
    this.#where = where;
    this.refused.catch(() => undefined);
    for (const client of clients) client.on('error', this.#onError).on('close', this.#onClose);
  }

  /** From now on the clients are on their own. */
  end(): void {
    for (const client of this.#clients) client.off('error', this.#onError).off('close', this.#onClose);
  }

  /** What to reject with when time is up. */
  timedOut(milliseconds: number): BufferUnavailableError {
    const [why, advice] = this.#reason();
    const message = `Redis at ${this.#where} did not answer within ${milliseconds} ms${why}. ${advice}`;
    const cause = this.#last === null ? {} : { cause: redact(this.#last) };
    return new BufferUnavailableError(message, { where: this.#where, milliseconds }, cause);
  }

  /** What to reject with for a definite answer. */
  refusal(cause: unknown): BufferUnavailableError {
    if (cause instanceof BufferUnavailableError) return cause;
    const text = textOf(redact(cause)).replace(/\.$/, '');
    const message = `Redis at ${this.#where} refused: ${text}. ${adviceFor(text, codeOf(cause))}`;
    return new BufferUnavailableError(message, { where: this.#where }, { cause });
  }

  readonly #onError = (error: unknown): void => {
    this.#last = error;
    const isAnswer = error instanceof ReplyError && !TRANSIENT.test((error as Error).message);
    if (isAnswer || CERTIFICATE.test(codeOf(error))) this.#refuse(error);
  };

  readonly #onClose = (): void => {
    this.#isHungUp = true;
  };

  /** Why it took so long, and what to do. */
  #reason(): readonly [string, string] {
    const general = 'Start it, correct the `redis` option, or raise `attachTimeout`.';
    if (this.#last !== null) return [`: ${textOf(this.#last)}`, general];
    if (this.#clients.some(isShakingHands))
      return [': the connection is open, but TLS is not answered', 'Is it a port without TLS? Then leave `tls` out.'];
    if (this.#isHungUp)
      return [
        ': it takes connections and closes them without a word',
        'Is it a port with TLS? Then use rediss:// or `tls`.',
      ];
    return ['', general];
  }
}

/** Where a client connects to, for messages. */
export function addressOf({ host = 'localhost', port = 6379, path, sentinels, name }: RedisOptions): string {
  if (sentinels !== undefined && sentinels !== null) {
    const list = sentinels.slice(0, 5).map((one) => `${one.host ?? 'localhost'}:${one.port ?? 26_379}`);
    return `${name ?? 'the primary'} of Sentinel ${list.join(', ')}`;
  }
  return path ?? `${host}:${port}`;
}

function isShakingHands({ options, status, stream }: Redis): boolean {
  const { connecting = true } = (stream ?? {}) as { readonly connecting?: boolean };
  return options.tls !== undefined && status === 'connecting' && !connecting;
}

function adviceFor(text: string, code: string): string {
  if (/WRONGPASS|NOAUTH|AUTH|password/.test(text)) return 'Correct user and password in the `redis` option.';
  if (/DB index|SELECT/i.test(text)) return 'Correct the index of the database in the `redis` option.';
  if (CERTIFICATE.test(code))
    return 'Trust its authority: redis: { tls: { ca } }, and name it as its certificate does.';
  return 'Correct the `redis` option, or what the server allows.';
}

/** Node's error of several addresses that were tried has no text of its own. */
function textOf(error: unknown): string {
  const { message = '', errors } = (error ?? {}) as { readonly message?: string; readonly errors?: unknown };
  if (Array.isArray(errors)) return [...new Set(errors.slice(0, 3).map(textOf))].join('; ');
  const code = codeOf(error);
  return code === '' || message.includes(code) ? message || String(error) : `${message} (${code})`;
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? code : '';
}
