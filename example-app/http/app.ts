import { join } from 'node:path';

import express, { type Express } from 'express';

import type { Connection } from '../connect';
import { Movie, Product, Store, User } from '../entities';
import type { LiveFigures } from '../page/live-figures';
import { pageRoutes } from '../page/routes';
import { commentRoutes } from './comments';
import { answerErrors } from './errors';
import { followRoutes } from './follows';
import { namedRoutes } from './named';
import { postRoutes } from './posts';
import { ratingRoutes } from './ratings';
import { reviewRoutes } from './reviews';
import { refuseCrossSite, setSecurityHeaders } from './security';

// Compiled to example-app/dist/example-app/http.
const PUBLIC = join(__dirname, '../../../public');

/** The HTTP API, and the page that watches its counters. */
export function createApp({ dataSource, counters }: Connection, live: LiveFigures): Express {
  const app = express().disable('x-powered-by');
  app.use(setSecurityHeaders, refuseCrossSite, express.json({ limit: '1mb' }));
  app.use('/users', namedRoutes('user', dataSource.getRepository(User)));
  app.use('/products', namedRoutes('product', dataSource.getRepository(Product)));
  app.use('/stores', namedRoutes('store', dataSource.getRepository(Store)));
  app.use('/movies', namedRoutes('movie', dataSource.getRepository(Movie)));
  app.use('/posts', postRoutes(dataSource));
  app.use('/comments', commentRoutes(dataSource));
  app.use('/reviews', reviewRoutes(dataSource));
  app.use('/follows', followRoutes(dataSource));
  app.use('/ratings', ratingRoutes(dataSource));
  app.get('/status', async (_request, response) => {
    // What this process has committed but not yet handed over is in no figure of the status.
    await counters.settled();
    response.json(await counters.status());
  });
  app.use(pageRoutes(live));
  app.use(express.static(PUBLIC));
  app.use((_request, response) => void response.status(404).json({ problems: ['no such route'] }));
  app.use(answerErrors);
  return app;
}
