import { In } from 'typeorm';

import { Note, Post } from '../entities/blog';
import { City, Country, Photo, Region, Shop } from '../entities/places';
import { group } from '../write-path';
import { blog, country, regions } from './seeds';
import { addOtherPhotos, DROP, galleries } from './triggers';

export const TRACKED = group('`counters.track()`', [
  {
    name: 'raw SQL that changes 2 matching rows',
    captured: ['track', 'recount'],
    run: async ({ manager, track }) => {
      const { author } = await blog(manager, [{}, {}]);
      const sql = `UPDATE post SET likes = 9 WHERE "authorId" = ${author.id}`;
      return () => track(manager, Post, { authorId: author.id }, (inner) => inner.query(sql));
    },
  },
  {
    name: 'raw SQL that adds a row, inside a transaction',
    captured: ['track', 'recount'],
    run: async ({ dataSource, manager, track }) => {
      const { author } = await blog(manager);
      const sql = `INSERT INTO post (slug, "authorId") VALUES ('a', ${author.id})`;
      return () => dataSource.transaction((inner) => track(inner, Post, { slug: 'a' }, () => inner.query(sql)));
    },
  },
  {
    name: 'a write through TypeORM',
    captured: ['returned rows', 'track', 'recount'],
    run: async ({ manager, track }) => {
      const { post } = await blog(manager);
      return () => track(manager, Post, { id: post.id }, (inner) => inner.delete(Post, { id: post.id }));
    },
  },
  {
    name: 'a write whose trigger writes other rows',
    captured: ['returned rows', 'track', 'recount'],
    run: async (world) => {
      const [one, two] = await galleries(world);
      await addOtherPhotos(world, one, two);
      const where = { galleryId: In([one, two]) };
      return () => world.track(world.manager, Photo, where, (inner) => inner.insert(Photo, { galleryId: one }));
    },
    undo: ({ manager }) => manager.query(DROP),
  },
  {
    name: 'a delete by a foreign key that TypeORM does not know',
    captured: ['returned rows', 'track', 'recount'],
    run: async ({ manager, track }) => {
      await regions(manager);
      return () => track(manager, Shop, { regionCode: 'a' }, (inner) => inner.delete(Region, { code: 'a' }));
    },
  },
  {
    name: 'a change of a key, into a column that a condition looks at',
    captured: ['old and new rows', 'track', 'recount'],
    run: async ({ manager, track }) => {
      await country(manager);
      const change = { code: 'north' };
      return () =>
        track(manager, City, { countryCode: 'old' }, (inner) => inner.update(Country, { code: 'old' }, change));
    },
  },
  {
    name: 'no matching row',
    captured: ['track'],
    run:
      async ({ manager, track }) =>
      () =>
        track(manager, Post, { id: 0 }, (inner) => inner.query('UPDATE post SET likes = 9 WHERE id = 0')),
  },
]);

export const UNCOUNTED = group('Entities that feed no counter', [
  {
    name: '`save()`',
    captured: [],
    run:
      async ({ manager }) =>
      () =>
        manager.save(Note, { text: 'new' }),
  },
  {
    name: '`insert()`',
    captured: [],
    run:
      async ({ manager }) =>
      () =>
        manager.insert(Note, { text: 'new' }),
  },
  {
    name: '`update()`',
    captured: [],
    run:
      async ({ manager }) =>
      () =>
        manager.update(Note, { text: 'old' }, { text: 'new' }),
  },
  {
    name: '`delete()`',
    captured: [],
    run:
      async ({ manager }) =>
      () =>
        manager.delete(Note, { text: 'old' }),
  },
  {
    name: '`clear()`',
    captured: [],
    run:
      async ({ manager }) =>
      () =>
        manager.clear(Note),
  },
]);
