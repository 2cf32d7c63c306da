import { setTimeout as delay } from 'node:timers/promises';

import type { Response } from 'express';

import type { Connection } from '../connect';
import { type Figures, takeFigures } from './figures';
import { renderFigures } from './html';

const INTERVAL = 1_000;

/** Sends the figures to everybody who watches, once a second; looks at nothing while nobody does. */
export class LiveFigures {
  readonly #connection: Connection;
  readonly #watchers = new Set<Response>();
  readonly #closing = new AbortController();
  #running: Promise<void> | null = null;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  now(): Promise<Figures> {
    return takeFigures(this.#connection);
  }

  /** Keeps a stream of server-sent events open until the client goes away. */
  watch(response: Response): void {
    response.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' }).flushHeaders();
    this.#watchers.add(response);
    response.on('close', () => this.#watchers.delete(response));
    this.#running ??= this.#run();
  }

  /** Ends every stream, and waits for the look that is under way. */
  async close(): Promise<void> {
    for (const response of this.#watchers) response.end();
    this.#watchers.clear();
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#watchers.size > 0) {
      try {
        const html = renderFigures(await this.now()).replaceAll('\n', ' ');
        for (const response of this.#watchers) response.write(`data: ${html}\n\n`);
      } catch (error) {
        console.error('page:', error);
      }
      await delay(INTERVAL, undefined, { signal: this.#closing.signal }).catch(() => undefined);
    }
    this.#running = null;
  }
}
