import { Router } from 'express';
import type { DataSource } from 'typeorm';

import { Review } from '../entities';
import { parse, parseChange } from './check';
import { mustAffect } from './errors';
import { body, id, score } from './fields';
import { addReads, idOf } from './reads';

const REVIEW = { body, score, productId: id, authorId: id };

/** Reviews of products. Changing a score changes the product's sum, and perhaps its praises. */
export function reviewRoutes(dataSource: DataSource): Router {
  const router = Router();
  const reviews = dataSource.getRepository(Review);
  addReads(router, reviews);
  router.post('/', async (request, response) => {
    response.status(201).json(await reviews.save(reviews.create(parse(request.body, REVIEW))));
  });
  router.patch('/:id', async (request, response) => {
    const change = parseChange(request.body, REVIEW);
    // Loaded and saved, as services often do; the stale counters of a loaded row never get back into the database.
    const review = await reviews.findOneByOrFail({ id: idOf(request) });
    response.json(await reviews.save(reviews.merge(review, change)));
  });
  router.delete('/:id', async (request, response) => {
    mustAffect(await reviews.delete({ id: idOf(request) }), 'review');
    response.status(204).end();
  });
  return router;
}
