import { Column, type DataSource, Entity, JoinColumn, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { Counters, type CountersOptions, defineCounterCache } from 'typeorm-counter-cache';

import type { CounterColumn } from '../../../src/model/definition';
import { fingerprintOf } from '../../../src/model/fingerprint';
import { encodeColumn } from '../../../src/model/target';
import type { Heartbeat, Heartbeats } from '../../../src/dialects/postgres/installation/definitions';
import { createDatabase, type TestDatabase } from '../../support/database';
import { deleteKeysOf, redisUrl } from '../../support/redis';
import { newDataSource, TEST_OPTIONS } from '../../support/setup';
import { until } from '../../support/until';

/** One counter of posts on authors; `relation` is `author` and `column` is `total` where it does not say otherwise. */
export type Declared = Readonly<Record<string, unknown>>;

/** The same tables in every version of the code; other declarations. */
function entitiesOf(declarations: readonly Declared[]) {
  @Entity({ name: 'author' })
  class Author {
    @PrimaryGeneratedColumn() id!: number;
    @Column({ default: 0 }) total!: number;
    @Column({ default: 0 }) other!: number;
  }

  @Entity({ name: 'post' })
  class Post {
    @PrimaryGeneratedColumn() id!: number;
    @Column({ default: false }) published!: boolean;
    @Column({ type: 'integer' }) authorId!: number;
    @ManyToOne(() => Author)
    @JoinColumn({ name: 'authorId' })
    author!: Relation<Author>;
    @Column({ type: 'integer', nullable: true }) editorId!: number | null;
    @ManyToOne(() => Author)
    @JoinColumn({ name: 'editorId' })
    editor!: Relation<Author> | null;
  }

  for (const declaration of declarations)
    defineCounterCache<Post, Author>(Post, { relation: 'author', column: 'total', ...declaration });
  return { Author, Post };
}

/** Notes every request for the recounts of a whole table. */
const REQUESTS = `
  CREATE TABLE request (id text);
  CREATE FUNCTION note_request() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO request VALUES (NEW.id); RETURN NULL; END $$;
  CREATE TRIGGER note_request AFTER INSERT OR UPDATE ON counter_cache_state
    FOR EACH ROW WHEN (starts_with(NEW.id, 'recount:') AND NEW.value = '{}') EXECUTE FUNCTION note_request()`;

/** A process that runs one version of the code. */
export interface Version {
  /** How often it shows itself, ms. */
  readonly interval: number;
  readonly counters: Counters;
  readonly dataSource: DataSource;
  readonly errors: unknown[];
  /** Targets recounted by its workers. */
  recounted(): number;
  write(authorId: number, published?: boolean): Promise<void>;
  close(): Promise<void>;
}

/** One database, to which processes with different declarations attach. */
export class Deployment {
  readonly #versions: Version[] = [];
  #interval: number = TEST_OPTIONS.sweepInterval;
  readonly database: TestDatabase;

  private constructor(database: TestDatabase) {
    this.database = database;
  }

  static async create(): Promise<Deployment> {
    return new Deployment(await createDatabase());
  }

  /** Gives every process that attaches from now on more time to show itself: one that is slow must not look gone. */
  patiently(): void {
    this.#interval = 3 * TEST_OPTIONS.sweepInterval;
  }

  async attach(
    declarations: readonly Declared[],
    { worker = false, ...options }: Partial<CountersOptions> & { readonly worker?: boolean } = {},
  ): Promise<Version> {
    const { Author, Post } = entitiesOf(declarations);
    const isFirst = this.#versions.length === 0;
    const dataSource = newDataSource(this.database.url, [Author, Post], { synchronize: isFirst, poolSize: 5 });
    const counters = await Counters.attach(dataSource, {
      redis: redisUrl(),
      ...TEST_OPTIONS,
      sweepInterval: this.#interval,
      ...options,
    });
    const errors: unknown[] = [];
    let recounted = 0;
    counters.on('error', (error) => errors.push(error));
    counters.on('recalculated', ({ checked }) => (recounted += checked));
    await dataSource.initialize();
    const version: Version = {
      interval: this.#interval,
      counters,
      dataSource,
      errors,
      recounted: () => recounted,
      async write(authorId, published = true) {
        await dataSource.manager.insert(Post, { authorId, published });
      },
      async close() {
        await counters.close();
        if (dataSource.isInitialized) await dataSource.destroy();
      },
    };
    this.#versions.push(version);
    await until(() => isKnown(version));
    if (isFirst) await dataSource.query(REQUESTS);
    if (worker) await counters.startWorker();
    return version;
  }

  /** An author with two posts, of which one is published. */
  async author(through: Version): Promise<number> {
    const { identifiers } = await through.dataSource.manager.insert('Author', {});
    const id = Number(identifiers[0]?.['id']);
    await through.write(id, true);
    await through.write(id, false);
    return id;
  }

  async close(): Promise<void> {
    for (const version of this.#versions) await version.close();
    const installation = await this.database.installation();
    await this.database.drop();
    if (installation !== null) await deleteKeysOf(installation);
  }
}

/** What the counters of the authors are, in order. */
export async function totals({ dataSource }: Version, column = 'total'): Promise<number[]> {
  const rows = await dataSource.query<{ value: number }[]>(`SELECT "${column}" AS value FROM author ORDER BY id`);
  return rows.map(({ value }) => value);
}

/** The rows of the state table that ask for recounts. */
export async function noted({ dataSource }: Version): Promise<{ id: string; value: string }[]> {
  return dataSource.query(`SELECT id, value FROM counter_cache_state WHERE starts_with(id, 'recount:')`);
}

/** How often the recounts of a whole table were asked for. */
export async function requests({ dataSource }: Version): Promise<number> {
  const [row] = await dataSource.query<{ n: number }[]>('SELECT count(*)::int AS n FROM request');
  return row?.n ?? 0;
}

/** When a recount was last asked for, by every definition of every column. */
export async function countedAt(version: Version): Promise<string[]> {
  return (await sightings(version)).map(({ fingerprint, counted }) => `${fingerprint} ${counted}`).toSorted();
}

/** When each definition was last seen, in order. */
export async function seenAt(version: Version): Promise<number[]> {
  return (await sightings(version)).map(({ seen }) => seen).toSorted((a, b) => a - b);
}

/** Whether definitions have been seen for so many sweep intervals from now on. */
export async function looks(version: Version, intervals: number): Promise<() => Promise<boolean>> {
  const last = async (): Promise<number> => (await seenAt(version)).at(-1) ?? 0;
  const end = (await last()) + intervals * version.interval;
  return async () => (await last()) > end;
}

/** Whether what a process declares has been written down; nobody waits for that but these tests. */
async function isKnown(version: Version): Promise<boolean> {
  const known = new Set((await sightings(version)).map(({ id, fingerprint }) => `${id} ${fingerprint}`));
  const columns = version.counters.definitions.flatMap(({ targets }) =>
    targets.flatMap((one) => [...one.columns.values()]),
  );
  // Columns that are counted alike have one fingerprint.
  const idOf = ({ targetTable, name }: CounterColumn): string =>
    [targetTable.tablePath, name].map(encodeColumn).join(':');
  return columns.every((column) => known.has(`definition:${idOf(column)} ${fingerprintOf(column)}`));
}

async function sightings({ dataSource }: Version): Promise<(Heartbeat & { id: string; fingerprint: string })[]> {
  const rows = await dataSource.query<{ id: string; value: string }[]>(
    `SELECT id, value FROM counter_cache_state WHERE starts_with(id, 'definition:')`,
  );
  return rows.flatMap(({ id, value }) =>
    Object.entries(JSON.parse(value) as Heartbeats).map(([fingerprint, one]) => ({ ...one, id, fingerprint })),
  );
}
