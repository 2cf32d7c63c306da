import { setTimeout as delay } from 'node:timers/promises';

import type { Tally } from './tally';

type Method = 'POST' | 'PUT' | 'PATCH' | 'DELETE';

const ATTEMPTS = 5;

/** Talks to the API processes in turn, over connections that Node keeps open. */
export class HttpClient {
  readonly #urls: readonly string[];
  readonly #tally: Tally;

  constructor(urls: readonly string[], tally: Tally) {
    this.#urls = urls;
    this.#tally = tally;
  }

  /**
   * The answer, or `null` when another client was faster: the row is gone, or it exists already.
   *
   * @throws Error when the API refuses or fails
   */
  async send<Answer = unknown>(method: Method, path: string, body?: object): Promise<Answer | null> {
    for (let attempt = 1; ; attempt++) {
      const response = await this.#fetch(method, path, body);
      const text = await response.text();
      this.#tally.requests++;
      if (response.ok) return (text === '' ? {} : JSON.parse(text)) as Answer;
      if (response.status === 404 || response.status === 409) {
        this.#tally.conflicts++;
        return null;
      }
      if (response.status !== 503 || attempt === ATTEMPTS) {
        throw new Error(`${method} ${path} was answered with ${response.status}: ${text}`);
      }
      await delay(50 * attempt);
    }
  }

  async #fetch(method: Method, path: string, body?: object): Promise<Response> {
    const url = (this.#urls[this.#tally.requests % this.#urls.length] ?? '') + path;
    try {
      return await fetch(url, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
      });
    } catch (error) {
      const { message, cause } = error as Error;
      const reason = cause instanceof Error ? cause.message : message;
      throw new Error(`${method} ${url} got no answer: ${reason}`, { cause: error });
    }
  }
}
