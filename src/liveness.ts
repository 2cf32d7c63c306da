import type { Socket } from 'node:net';

/** A connection that is looked after. */
export interface Guarded {
  /** Its socket of the moment; another one after it connected again. */
  readonly socket: () => Socket | undefined;
  /** Whether an answer is awaited. */
  readonly isWaiting: () => boolean;
  /** Asks for a sign of life; absent for one that is never idle for long. */
  readonly ping?: () => void;
}

/** How long one waits for a sign of life, all in ms. */
export interface LivenessTimes {
  /** An answer is awaited, and nothing came for so long: the connection is cut. @defaultValue 4_000 */
  readonly silence?: number;
  /** Nothing was sent for so long: a ping is. @defaultValue 15_000 */
  readonly idle?: number;
  /** Between two looks. @defaultValue 1_000 */
  readonly look?: number;
}

const SILENCE = 4_000;
const IDLE = 15_000;
const LOOK = 1_000;

/**
 * Cuts a connection that answers nothing, so that its client connects again: a firewall or a NAT that forgot it drops what is
 * sent without a word, and the system would try for minutes, while new connections work. Looks from time to time, so that
 * commands cost nothing.
 *
 * @returns a function that ends it
 */
export function keepAlive(guarded: Guarded, times: LivenessTimes = {}): () => void {
  const liveness = new Liveness(guarded, times);
  const timer = setInterval(() => liveness.look(performance.now()), times.look ?? LOOK).unref();
  return () => clearInterval(timer);
}

/** Whether a client of ioredis awaits an answer: it keeps what it sent in a queue, also when the caller gave up waiting. */
export function isWaiting(client: object): boolean {
  const { commandQueue } = client as { readonly commandQueue?: { readonly length: number } };
  return commandQueue !== undefined && commandQueue.length > 0;
}

class Liveness {
  readonly #guarded: Guarded;
  readonly #silence: number;
  readonly #idle: number;
  /** A look that comes later than this finds a process that was asleep. */
  readonly #late: number;
  #known: Socket | undefined;
  #read = 0;
  /** Since when nothing came although an answer is awaited, as far as was seen. */
  #unansweredSince: number | null = null;
  #quietSince = performance.now();
  #last = performance.now();

  constructor(guarded: Guarded, { silence = SILENCE, idle = IDLE, look = LOOK }: LivenessTimes) {
    this.#guarded = guarded;
    this.#silence = silence;
    this.#idle = idle;
    this.#late = look + silence / 2;
  }

  look(now: number): void {
    const socket = this.#guarded.socket();
    // What came while this process was asleep is read only behind its timers.
    const wasAsleep = now - this.#last > this.#late;
    this.#last = now;
    if (socket !== this.#known || wasAsleep) this.#begin(socket, now);
    if (socket === undefined || socket.destroyed) return;
    this.#measure(socket, now);
    if (this.#unansweredSince === null) this.#ask(now);
    else if (now - this.#unansweredSince >= this.#silence) this.#cut(socket);
  }

  #begin(socket: Socket | undefined, now: number): void {
    this.#known = socket;
    this.#unansweredSince = null;
    this.#quietSince = now;
  }

  #measure(socket: Socket, now: number): void {
    const { bytesRead } = socket;
    if (bytesRead !== this.#read) this.#begin(socket, now);
    this.#read = bytesRead;
    if (this.#guarded.isWaiting()) this.#unansweredSince ??= now;
    else this.#unansweredSince = null;
  }

  #ask(now: number): void {
    if (now - this.#quietSince < this.#idle) return;
    this.#quietSince = now;
    this.#guarded.ping?.();
  }

  #cut(socket: Socket): void {
    this.#unansweredSince = null;
    socket.destroy(new Error(`nothing came from Redis for ${this.#silence} ms: connecting again`));
  }
}
