import { Router } from 'express';
import type { DataSource } from 'typeorm';

import { Comment } from '../entities';
import { list, object, parse, parseChange } from './check';
import { mustAffect } from './errors';
import { body, id, MOST_ROWS } from './fields';
import { addReads, idOf } from './reads';

const COMMENT = { body, postId: id, authorId: id };

/** Comments: each counts for its post and for its author. */
export function commentRoutes(dataSource: DataSource): Router {
  const router = Router();
  const comments = dataSource.getRepository(Comment);
  addReads(router, comments);
  router.post('/', async (request, response) => {
    response.status(201).json(await comments.save(comments.create(parse(request.body, COMMENT))));
  });
  router.post('/bulk', async (request, response) => {
    const { comments: rows } = parse(request.body, { comments: list(object(COMMENT), MOST_ROWS) });
    const { identifiers } = await comments.insert(rows);
    response.status(201).json({ ids: identifiers.map((row) => row['id'] as number) });
  });
  router.patch('/:id', async (request, response) => {
    mustAffect(await comments.update({ id: idOf(request) }, parseChange(request.body, COMMENT)), 'comment');
    response.status(204).end();
  });
  router.delete('/:id', async (request, response) => {
    mustAffect(await comments.delete({ id: idOf(request) }), 'comment');
    response.status(204).end();
  });
  return router;
}
