import { type ShardKey, shardKey } from '../../../src/engines/buffered/redis/keys';
import { isEveryTarget, isKeyless } from '../../../src/model/target';
import { targetTableOf } from '../../../src/engines/context';
import { runTableCampaigns, startRequested } from '../../../src/recount/campaign';
import { type Recalculated, type RecalculateOptions, recalculateTargets } from '../../../src/recount/recount-targets';
import type { Fixture } from '../../support/setup';
import { until } from '../../support/until';
import { type Internals, openInternals } from '../internals';
import type { WrongColumn } from './truth';

/** Recalculations by schedule rest for longer, ms. */
const SOON = 120_000;

/** A barrier stands until every transaction of the server is over, those of other tests included, ms. */
const PATIENCE = 240_000;

const RECOUNT: RecalculateOptions = {
  columns: (targetTable) => [...targetTable.columns.values()],
  consume: true,
  dry: false,
};

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

  /**
   * Looks for requests; returns how many targets they name. A worker that left may have noted the recount of a whole kind in
   * SQL, and requested none of its pages yet: another one would go on with it.
   */
  async find(): Promise<number> {
    await runTableCampaigns(this.#internals.context);
    const shards = Array.from({ length: this.#internals.context.buffer.shards }, (_, shard) => shard);
    this.#found = await Promise.all(shards.map((shard) => this.#findIn(shard)));
    return this.#found.flat().length;
  }

  async #findIn(shard: number): Promise<readonly string[]> {
    const { redis, installation, context } = this.#internals;
    const key = (name: ShardKey): string => shardKey(context.options.prefix, installation, shard, name);
    const found = await redis.zrangebyscore(key('recalc'), '-inf', Date.now() + SOON);
    const tableIds = new Map(Object.entries(await redis.hgetall(key('tables'))).map(([id, code]) => [code, id]));
    return found.map((target) => outerName(target, tableIds));
  }

  /**
   * Whether a row of a table was found among them, by itself or with all of its kind; `key` is what sources refer to it by,
   * `null` when it has none.
   */
  includes({ target: table, key }: Pick<WrongColumn, 'target' | 'key'>): boolean {
    const { definitions } = this.#internals.context;
    const ofRow = this.#found
      .flat()
      .filter((target) => isEveryTarget(target) || (key === null ? isKeyless(target) : target.endsWith(`:${key}`)));
    return ofRow.some((target) => targetTableOf(definitions, target)?.metadata.tableName === table);
  }

  /** Does what a worker would, to those that were found. */
  async fulfil(): Promise<void> {
    const { context } = this.#internals;
    while (this.#found.flat().some(isEveryTarget)) {
      await this.#fulfilAll(this.#found.flat().filter(isEveryTarget), (left) => startRequested(context, left));
      await this.find();
    }
    for (const targets of this.#found)
      await this.#fulfilAll(targets, (left) => recalculateTargets(context, left, RECOUNT));
  }

  async #fulfilAll(
    targets: readonly string[],
    recount: (targets: readonly string[]) => Promise<readonly Recalculated[]>,
  ): Promise<void> {
    let left = targets;
    await until(async () => {
      const results = await recount(left);
      left = results.filter(({ outcome }) => outcome !== 'done' && outcome !== 'absent').map(({ target }) => target);
      return left.length === 0;
    }, PATIENCE);
  }

  close(): Promise<void> {
    return this.#internals.close();
  }
}

/** A target as the world names it, from its name in a shard's keys: the code of its table, and its key. */
function outerName(target: string, tableIds: ReadonlyMap<string, string>): string {
  const at = target.indexOf(':');
  const tableId = tableIds.get(target.slice(0, at));
  if (tableId === undefined) throw new Error(`the shard does not know the table of ${target}`);
  return `${tableId}${target.slice(at)}`;
}
