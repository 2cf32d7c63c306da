import { kindOf } from '../../../src/jobs/context';
import { type RecalculateOptions, recalculateTargets } from '../../../src/jobs/recount-targets';
import type { Fixture } from '../../support/setup';
import { until } from '../../support/until';
import { type Internals, openInternals } from '../internals';

/** Recalculations by schedule rest for longer, ms. */
const SOON = 120_000;

/** A barrier stands until every transaction of the server is over, those of other tests included, ms. */
const PATIENCE = 240_000;

const RECOUNT: RecalculateOptions = { columns: (kind) => [...kind.columns.values()], consume: true, dry: false };

/** The recalculations that the library has asked a worker for. */
export class Requests {
  readonly #internals: Internals;
  /** Targets by shard. */
  #found: readonly (readonly string[])[] = [];

  private constructor(internals: Internals) {
    this.#internals = internals;
  }

  static async open({ dataSource }: Fixture, shards: number): Promise<Requests> {
    return new Requests(await openInternals(dataSource, { shards }));
  }

  /** Looks for requests; returns how many targets they name. */
  async find(): Promise<number> {
    const { redis, installation, context } = this.#internals;
    const before = Date.now() + SOON;
    const key = (shard: number): string => `{${context.options.prefix}:${installation}:${shard}}:1:recalc`;
    const shards = Array.from({ length: context.buffer.shards }, (_, shard) => shard);
    this.#found = await Promise.all(shards.map((shard) => redis.zrangebyscore(key(shard), '-inf', before)));
    return this.#found.flat().length;
  }

  /** Whether a row of a table was found among them. */
  includes(table: string, id: number): boolean {
    const { definitions } = this.#internals.context;
    const ofRow = this.#found.flat().filter((target) => target.endsWith(`:${id}`));
    return ofRow.some((target) => kindOf(definitions, target)?.metadata.tableName === table);
  }

  /** Does what a worker would, to those that were found. */
  async fulfil(): Promise<void> {
    for (const targets of this.#found) {
      let left = targets;
      await until(async () => {
        const results = await recalculateTargets(this.#internals.context, left, RECOUNT);
        left = results.filter(({ outcome }) => outcome !== 'done' && outcome !== 'absent').map(({ target }) => target);
        return left.length === 0;
      }, PATIENCE);
    }
  }

  close(): Promise<void> {
    return this.#internals.close();
  }
}
