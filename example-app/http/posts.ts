import { Router } from 'express';
import { type DataSource, In, IsNull } from 'typeorm';

import { Comment, Post } from '../entities';
import { list, object, parse, parseChange } from './check';
import { mustAffect } from './errors';
import { flag, id, ids, MOST_ROWS, name } from './fields';
import { addReads, idOf } from './reads';

const POST = { title: name, authorId: id, published: flag };

/** Posts: published or not, moved to another author, soft-deleted and restored, deleted for ever. */
export function postRoutes(dataSource: DataSource): Router {
  const router = Router();
  addReads(router, dataSource.getRepository(Post));
  // Before the others, to which 'bulk' would be an id.
  addBulkWrites(router, dataSource);
  addWrites(router, dataSource);
  addDeletes(router, dataSource);
  return router;
}

function addWrites(router: Router, dataSource: DataSource): void {
  const posts = dataSource.getRepository(Post);
  router.post('/', async (request, response) => {
    response.status(201).json(await posts.save(posts.create(parse(request.body, POST))));
  });
  // A new authorId moves the post: one author loses it, the other gets it.
  router.patch('/:id', async (request, response) => {
    const change = parseChange(request.body, POST);
    mustAffect(await posts.update({ id: idOf(request), deletedAt: IsNull() }, change), 'post');
    response.status(204).end();
  });
  for (const [action, published] of [
    ['publish', true],
    ['unpublish', false],
  ] as const) {
    router.post(`/:id/${action}`, async (request, response) => {
      mustAffect(await posts.update({ id: idOf(request), deletedAt: IsNull() }, { published }), 'post');
      response.status(204).end();
    });
  }
}

function addBulkWrites(router: Router, dataSource: DataSource): void {
  const posts = dataSource.getRepository(Post);
  router.post('/bulk', async (request, response) => {
    const { posts: rows } = parse(request.body, { posts: list(object(POST), MOST_ROWS) });
    const { identifiers } = await posts.insert(rows);
    response.status(201).json({ ids: identifiers.map((row) => row['id'] as number) });
  });
  // One statement over rows that nobody has loaded is counted like any other.
  router.post('/bulk/publish', async (request, response) => {
    const { ids: chosen, published } = parse(request.body, { ids, published: flag });
    const { affected } = await posts.update({ id: In(chosen) }, { published });
    response.json({ affected: affected ?? 0 });
  });
}

function addDeletes(router: Router, dataSource: DataSource): void {
  const posts = dataSource.getRepository(Post);
  router.delete('/:id', async (request, response) => {
    mustAffect(await posts.softDelete({ id: idOf(request), deletedAt: IsNull() }), 'post');
    response.status(204).end();
  });
  router.post('/:id/restore', async (request, response) => {
    mustAffect(await posts.restore({ id: idOf(request) }), 'post');
    response.status(204).end();
  });
  // Comments first, because they refer to it; both in one transaction.
  router.delete('/:id/forever', async (request, response) => {
    const postId = idOf(request);
    const comments = await dataSource.transaction(async (manager) => {
      const { affected } = await manager.delete(Comment, { postId });
      mustAffect(await manager.delete(Post, { id: postId }), 'post');
      return affected ?? 0;
    });
    response.json({ comments });
  });
}
