import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as Typeorm from 'typeorm';
import type * as Library from 'typeorm-counter-cache';

import { newPicker } from '../contention/picker';
import { CLIENTS, TIMES } from '../contention/settings';
import { processorTime } from '../own-process';
import type { Task, Writing } from './tasks';

/** What one sample found. */
export type RevisionSample = {
  /** Transactions, or applied targets, per second. */
  readonly perSecond: number;
  /** Microseconds of processor time of this process for each of them. */
  readonly cpu: number;
};

/** Where a build works. */
export interface SubjectOptions {
  /** Folder of the build. */
  readonly root: string;
  readonly url: string;
  readonly redis: string;
  readonly prefix: string;
  /** Options of `Counters.attach`, as this build calls them. */
  readonly options: object;
}

interface Author {
  id: number;
  postsCount: number;
}

interface Post {
  id: number;
  title: string;
  published: boolean;
  authorId: number;
  author: Author;
}

/** Authors that there are from the beginning on, each with a post. */
const AUTHORS = 20_000;

/** Authors whose posts one statement changes. */
const CHUNK = 1_000;

/** One build of the library, with tables of its own. */
export class Subject {
  readonly #dataSource: Typeorm.DataSource;
  readonly #counters: Library.Counters;
  readonly #post: Typeorm.EntitySchema<Post>;
  readonly #between: typeof Typeorm.Between;
  #published = true;

  private constructor(
    dataSource: Typeorm.DataSource,
    counters: Library.Counters,
    post: Typeorm.EntitySchema<Post>,
    between: typeof Typeorm.Between,
  ) {
    this.#dataSource = dataSource;
    this.#counters = counters;
    this.#post = post;
    this.#between = between;
  }

  static async open({ root, url, redis, prefix, options }: SubjectOptions): Promise<Subject> {
    const load = createRequire(join(root, 'package.json'));
    const { Between, DataSource, EntitySchema } = load('typeorm') as typeof Typeorm;
    const { Counters, defineCounterCache } = load(join(root, 'dist')) as typeof Library;
    const author = new EntitySchema<Author>({
      name: 'Author',
      columns: { id: { type: Number, primary: true, generated: true }, postsCount: { type: Number, default: 0 } },
    });
    const post = new EntitySchema<Post>({
      name: 'Post',
      columns: {
        id: { type: Number, primary: true, generated: true },
        title: { type: String },
        published: { type: Boolean, default: true },
        authorId: { type: Number },
      },
      relations: { author: { type: 'many-to-one', target: 'Author', joinColumn: { name: 'authorId' } } },
    });
    defineCounterCache<Post, Author>(post, { relation: 'author', column: 'postsCount', where: { published: true } });
    const entities = [author, post];
    const dataSource = new DataSource({ type: 'postgres', url, entities, synchronize: true, poolSize: CLIENTS });
    const counters = await Counters.attach(dataSource, { redis, prefix, ...TIMES, ...options });
    counters.on('error', (error) => console.error(root, error));
    await dataSource.initialize();
    await dataSource.query('INSERT INTO author ("postsCount") SELECT 1 FROM generate_series(1, $1)', [AUTHORS]);
    await dataSource.query(`INSERT INTO post (title, "authorId") SELECT 'a title', id FROM author`);
    await dataSource.query('CREATE INDEX ON post ("authorId")');
    await dataSource.query('VACUUM ANALYZE');
    return new Subject(dataSource, counters, post, Between);
  }

  async sample(task: Task, seconds: number): Promise<RevisionSample> {
    if (!('method' in task)) await this.#makeDirty();
    const cpu = processorTime();
    const began = performance.now();
    const count = 'method' in task ? await this.#write(task, seconds) : (await this.#counters.flush()).targets;
    const perSecond = (count / (performance.now() - began)) * 1_000;
    const sample = { perSecond, cpu: cpu() / count };
    // What is left of it is not applied while the other build is measured.
    await this.#counters.settled();
    await this.#counters.flush();
    return sample;
  }

  /** Authors whose counter is not what their posts say, once all is applied. */
  async wrong(): Promise<number> {
    // A row may have been locked.
    while ((await this.#counters.flush()).unapplied > 0);
    const [row] = await this.#dataSource.query<{ wrong: string }[]>(
      `SELECT count(*) AS wrong FROM author a
       LEFT JOIN (SELECT "authorId" AS id, count(*) AS posts FROM post WHERE published GROUP BY 1) p ON p.id = a.id
       WHERE a."postsCount" <> COALESCE(p.posts, 0)`,
    );
    return Number(row?.wrong);
  }

  async close(): Promise<void> {
    await this.#counters.close();
    await this.#dataSource.destroy();
  }

  /** Returns the number of transactions. */
  async #write({ method, rows, parents }: Writing, seconds: number): Promise<number> {
    const pick = newPicker(parents, 'uniform');
    const { manager } = this.#dataSource;
    const one = async (): Promise<void> => {
      const posts = Array.from({ length: rows }, () => ({ title: 'a title', authorId: pick() }));
      if (method === 'transaction') await manager.transaction((inner) => inner.insert(this.#post, posts));
      else if (method === 'insert') await manager.insert(this.#post, posts);
      else await manager.save(this.#post, posts);
    };
    let count = 0;
    const end = performance.now() + seconds * 1_000;
    const client = async (): Promise<void> => {
      for (; performance.now() < end; count++) await one();
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    return count;
  }

  async #makeDirty(): Promise<void> {
    this.#published = !this.#published;
    for (let from = 1; from <= AUTHORS; from += CHUNK) {
      const authorId = this.#between(from, from + CHUNK - 1);
      await this.#dataSource.manager.update(this.#post, { authorId }, { published: this.#published });
    }
    await this.#counters.settled();
    await this.#dataSource.query('VACUUM author');
  }
}
