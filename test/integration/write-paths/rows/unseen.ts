import { Client, Query } from 'pg';

import { Post } from '../entities/blog';
import { Photo, Region } from '../entities/places';
import { group, type World } from '../write-path';
import { blog, regions } from './seeds';
import { addOtherPhotos, DROP, galleries } from './triggers';

/** Sends `COPY … FROM STDIN` with one line. */
class Copy extends Query {
  readonly #line: string;

  constructor(sql: string, line: string) {
    super(sql);
    this.#line = line;
  }

  handleCopyInResponse(connection: { sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }): void {
    connection.sendCopyFromChunk(Buffer.from(`${this.#line}\n`));
    connection.endCopyFrom();
  }
}

/** Works over a connection that TypeORM knows nothing of. */
async function elsewhere({ dataSource }: World, work: (client: Client) => Promise<unknown>): Promise<void> {
  const { options } = dataSource;
  const client = new Client({ connectionString: 'url' in options ? options.url : undefined });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function copy(client: Client, sql: string, line: string): Promise<void> {
  await new Promise((resolve, reject) => {
    const query = client.query(new Copy(sql, line) as never) as unknown as NodeJS.EventEmitter;
    query.once('end', resolve).once('error', reject);
  });
}

export const UNSEEN = group('Not seen', [
  {
    name: 'raw SQL',
    captured: [],
    unseen: true,
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.query('UPDATE post SET likes = 9 WHERE id = $1', [post.id]);
    },
  },
  {
    name: 'a common table expression that writes',
    captured: [],
    unseen: true,
    run: async ({ manager }) => {
      await blog(manager);
      const builder = manager.createQueryBuilder().select('count(*)').from('gone', 'gone');
      return () => builder.addCommonTableExpression('DELETE FROM post RETURNING id', 'gone').getRawOne();
    },
  },
  {
    name: '`clear()`, `TRUNCATE`',
    captured: [],
    unseen: true,
    reports: ['UNSEEN_WRITE'],
    run: async ({ manager }) => {
      await blog(manager);
      return () => manager.clear(Post);
    },
  },
  {
    name: '`COPY`',
    captured: [],
    unseen: true,
    run: async (world) => {
      const { author } = await blog(world.manager);
      return () => elsewhere(world, (client) => copy(client, 'COPY post ("authorId") FROM STDIN', String(author.id)));
    },
  },
  {
    name: 'another program',
    captured: [],
    unseen: true,
    run: async (world) => {
      const { author } = await blog(world.manager);
      return () => elsewhere(world, (client) => client.query(`INSERT INTO post ("authorId") VALUES (${author.id})`));
    },
  },
  {
    name: 'a trigger that writes other rows',
    captured: ['returned rows'],
    unseen: true,
    run: async (world) => {
      const [one, two] = await galleries(world);
      await addOtherPhotos(world, one, two);
      return () => world.manager.insert(Photo, { galleryId: one });
    },
    undo: ({ manager }) => manager.query(DROP),
  },
  {
    name: 'a write inside `counters.skip()`',
    captured: [],
    unseen: true,
    run: async ({ manager, skip }) => {
      const { author } = await blog(manager);
      return () => skip(() => manager.insert(Post, { authorId: author.id }));
    },
  },
  {
    name: 'a foreign key that TypeORM does not know (here `ON DELETE SET DEFAULT`)',
    captured: ['returned rows', 'recount'],
    unseen: true,
    run: async ({ manager }) => {
      await regions(manager);
      return () => manager.delete(Region, { code: 'a' });
    },
  },
  {
    name: '`ON UPDATE SET DEFAULT`',
    captured: ['old and new rows', 'recount'],
    unseen: true,
    run: async ({ manager }) => {
      await regions(manager);
      return () => manager.update(Region, { code: 'a' }, { code: 'b' });
    },
  },
]);
