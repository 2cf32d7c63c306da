import type { Request, Router } from 'express';
import { type FindOptionsOrder, type FindOptionsWhere, MoreThan, type Repository } from 'typeorm';

import { optional, parse } from './check';
import { digits } from './fields';

const PAGE = 20;
const LARGEST_PAGE = 100;

/** The id in the path. */
export function idOf(request: Request): number {
  return Number(parse({ id: request.params['id'] }, { id: digits }).id);
}

/** `GET /?after=ID&limit=N` and `GET /:id`. A counter is a column of the row: reading it costs nothing. */
export function addReads<Row extends { id: number }>(router: Router, repository: Repository<Row>): void {
  router.get('/', async (request, response) => {
    const { after, limit } = parse(request.query, { after: optional(digits), limit: optional(digits) });
    const rows = await repository.find({
      where: { id: MoreThan(Number(after ?? 0)) } as FindOptionsWhere<Row>,
      order: { id: 'ASC' } as FindOptionsOrder<Row>,
      take: Math.min(Number(limit ?? PAGE), LARGEST_PAGE),
    });
    response.json(rows);
  });
  router.get('/:id', async (request, response) => {
    response.json(await repository.findOneByOrFail({ id: idOf(request) } as FindOptionsWhere<Row>));
  });
}
