// Bundled into one file, which runs where there is nothing else: counts one post, and prints the column and what is read.
import 'reflect-metadata';

import * as pg from 'pg';
import { DataSource, EntitySchema } from 'typeorm';
import { Counters, defineCounterCache } from 'typeorm-counter-cache';

interface Author {
  id: number;
  postsCount: number;
}

interface Post {
  id: number;
  author: Author;
}

const AuthorSchema = new EntitySchema<Author>({
  name: 'Author',
  columns: {
    id: { type: Number, primary: true, generated: true },
    postsCount: { type: Number, default: 0 },
  },
});

const PostSchema = new EntitySchema<Post>({
  name: 'Post',
  columns: { id: { type: Number, primary: true, generated: true } },
  relations: { author: { type: 'many-to-one', target: 'Author' } },
});

defineCounterCache<Post, Author>(PostSchema, { relation: 'author', column: 'postsCount' });

async function main(): Promise<void> {
  const dataSource = new DataSource({
    type: 'postgres',
    // TypeORM finds its driver at run time only: a bundler has to see it.
    driver: pg,
    url: process.env['PROGRAM_DATABASE'] ?? '',
    entities: [AuthorSchema, PostSchema],
    synchronize: true,
  });
  const counters = await Counters.attach(dataSource, {
    redis: process.env['PROGRAM_REDIS'] ?? '',
    wait: 50,
    window: 50,
    redisTimeout: 5_000,
  });
  await dataSource.initialize();
  const worker = await counters.startWorker();
  const author = await dataSource.getRepository(AuthorSchema).save({});
  await dataSource.manager.save(PostSchema, { author });
  await counters.settled();
  const read = await counters.read(AuthorSchema, author.id, 'postsCount');
  await worker.close();
  await counters.flush();
  const { postsCount } = await dataSource.manager.findOneByOrFail(AuthorSchema, { id: author.id });
  process.stdout.write(JSON.stringify({ postsCount, read, ...(await counters.verify()) }));
  await counters.close();
  await dataSource.destroy();
}

void main();
