import { Router } from 'express';

import { renderPage } from './html';
import type { LiveFigures } from './live-figures';

/** `GET /`: the page; `GET /live`: its figures, once a second. */
export function pageRoutes(live: LiveFigures): Router {
  const router = Router();
  router.get('/', async (_request, response) => {
    response
      .set('Cache-Control', 'no-store')
      .type('html')
      .send(renderPage(await live.now()));
  });
  router.get('/live', (_request, response) => live.watch(response));
  return router;
}
