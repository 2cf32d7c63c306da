import { Router } from 'express';
import type { DataSource } from 'typeorm';
import type { NumericText } from 'typeorm-counter-cache';

import { Rating } from '../entities';
import { InputError, list, object, parse } from './check';
import { id, MOST_ROWS, stars } from './fields';

const RATING = { userId: id, movieId: id, value: stars };

/** Ratings of movies, several in one statement. Rating again replaces the value. */
export function ratingRoutes(dataSource: DataSource): Router {
  const router = Router();
  router.put('/', async (request, response) => {
    const { ratings } = parse(request.body, { ratings: list(object(RATING), MOST_ROWS) });
    const rows = new Map(ratings.map((rating) => [`${rating.userId} ${rating.movieId}`, rating]));
    if (rows.size < ratings.length) throw new InputError(['expected ratings to name each user and movie once']);
    await dataSource.getRepository(Rating).upsert(
      // In one order for everybody, so that two requests with the same rows do not lock each other out.
      ratings
        .toSorted((a, b) => a.userId - b.userId || a.movieId - b.movieId)
        .map((rating) => ({ ...rating, value: rating.value.toFixed(1) as NumericText })),
      ['userId', 'movieId'],
    );
    response.status(204).end();
  });
  return router;
}
