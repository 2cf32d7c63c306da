import { Router } from 'express';
import type { DataSource } from 'typeorm';

import { Follow, Store, User } from '../entities';
import { InputError, parse } from './check';
import { mustAffect } from './errors';
import { followedType, id } from './fields';

const FOLLOW = { followerId: id, followedType, followedId: id };
const ENTITIES = { User, Store };

/** Follows of users and stores. Following twice is following once. */
export function followRoutes(dataSource: DataSource): Router {
  const router = Router();
  const follows = dataSource.getRepository(Follow);
  router.put('/', async (request, response) => {
    const row = parse(request.body, FOLLOW);
    if (row.followedType === 'User' && row.followedId === row.followerId) {
      throw new InputError(['expected followedId to be somebody else']);
    }
    // A polymorphic reference has no foreign key to check it.
    await dataSource.manager.findOneByOrFail<User | Store>(ENTITIES[row.followedType], { id: row.followedId });
    await follows.createQueryBuilder().insert().values(row).orIgnore().execute();
    response.status(204).end();
  });
  router.delete('/', async (request, response) => {
    mustAffect(await follows.delete(parse(request.body, FOLLOW)), 'follow');
    response.status(204).end();
  });
  return router;
}
