import { Router } from 'express';
import type { Repository } from 'typeorm';

import { list, parse } from './check';
import { mustAffect } from './errors';
import { MOST_ROWS, name } from './fields';
import { addReads, idOf } from './reads';

/** What users, products, stores and movies have in common. */
interface Named {
  id: number;
  name: string;
}

/** Routes of parents: rows with a name, and counters that others feed. */
export function namedRoutes<Row extends Named>(what: string, given: Repository<Row>): Router {
  // TypeORM's types for partial rows cannot see through a type parameter.
  const repository = given as unknown as Repository<Named>;
  const router = Router();
  addReads(router, repository);
  router.post('/', async (request, response) => {
    const row = repository.create(parse(request.body, { name }));
    response.status(201).json(await repository.save(row));
  });
  router.post('/bulk', async (request, response) => {
    const { names } = parse(request.body, { names: list(name, MOST_ROWS) });
    const { identifiers } = await repository.insert(names.map((each) => ({ name: each })));
    response.status(201).json({ ids: identifiers.map(({ id }) => id as number) });
  });
  router.patch('/:id', async (request, response) => {
    mustAffect(await repository.update({ id: idOf(request) }, parse(request.body, { name })), what);
    response.status(204).end();
  });
  router.delete('/:id', async (request, response) => {
    mustAffect(await repository.delete({ id: idOf(request) }), what);
    response.status(204).end();
  });
  return router;
}
