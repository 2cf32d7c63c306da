import { Author } from '../entities/blog';
import { Category } from '../entities/catalogue';
import { Forum, Member, Topic } from '../entities/forum';
import { City, Country, Region } from '../entities/places';
import { group } from '../write-path';
import { blog, catalogue, country, forum, regions } from './seeds';

export const DELETES = group('Deletes that spread in the database', [
  {
    name: '`ON DELETE CASCADE`, 1 level',
    captured: ['cascade', 'recount'],
    run: async ({ manager }) => {
      const { topic } = await forum(manager);
      return () => manager.delete(Topic, { id: topic.id });
    },
  },
  {
    name: '`ON DELETE CASCADE`, 2 levels',
    captured: ['cascade', 'recount'],
    run: async ({ manager }) => {
      const { forum: home } = await forum(manager);
      return () => manager.delete(Forum, { id: home.id });
    },
  },
  {
    name: '`ON DELETE CASCADE`, 2 levels, by `remove()`',
    captured: ['cascade', 'recount'],
    run: async ({ manager }) => {
      const { forum: home } = await forum(manager);
      return () => manager.remove(home);
    },
  },
  {
    name: '`ON DELETE CASCADE`, nothing below the row',
    captured: ['cascade', 'recount'],
    run: async ({ manager }) => {
      const home = await manager.save(manager.create(Forum));
      return () => manager.delete(Forum, { id: home.id });
    },
  },
  {
    name: '`ON DELETE CASCADE`, no row',
    captured: ['cascade'],
    run:
      async ({ manager }) =>
      () =>
        manager.delete(Forum, { id: 0 }),
  },
  {
    name: '`ON DELETE SET NULL`',
    captured: ['cascade', 'recount'],
    run: async ({ manager }) => {
      const { member } = await forum(manager);
      return () => manager.delete(Member, { id: member.id });
    },
  },
  {
    name: '`ON DELETE SET NULL` of an intermediate row',
    captured: ['cascade', 'recount'],
    run: async ({ manager }) => {
      const { category } = await catalogue(manager);
      return () => manager.delete(Category, { id: category.id });
    },
  },
]);

export const TARGETS = group('Targets', [
  {
    name: 'insert, key made by the database',
    captured: [],
    run:
      async ({ manager }) =>
      () =>
        manager.insert(Author, { name: 'new' }),
  },
  {
    name: 'insert, key chosen',
    captured: [],
    run:
      async ({ manager }) =>
      () =>
        manager.insert(Country, { code: 'new' }),
  },
  {
    name: 'insert, key chosen although the database makes keys',
    captured: [],
    run:
      async ({ manager }) =>
      () =>
        manager.createQueryBuilder().insert().into(Author, ['id', 'name']).values({ id: 900_001, name: '' }).execute(),
  },
  {
    name: '`upsert()` of a new one, key chosen',
    captured: ['old and new rows'],
    run:
      async ({ manager }) =>
      () =>
        manager.upsert(Country, { code: 'new', name: 'New' }, ['code']),
  },
  {
    name: '`upsert()` of an existing one',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      await manager.insert(Country, { code: 'old' });
      return () => manager.upsert(Country, { code: 'old', name: 'New' }, ['code']);
    },
  },
  {
    name: '`delete()` of one that no cascade refers to',
    captured: ['returned rows', 'recount'],
    run: async ({ manager }) => {
      const { other } = await blog(manager);
      return () => manager.delete(Author, { id: other.id });
    },
  },
  {
    name: '`update()` of the key (`ON UPDATE CASCADE` at the sources)',
    captured: ['old and new rows', 'recount'],
    run: async ({ manager }) => {
      await manager.insert(Country, { code: 'old' });
      await manager.insert(City, [{ countryCode: 'old' }, { countryCode: 'old' }]);
      return () => manager.update(Country, { code: 'old' }, { code: 'new' });
    },
  },
  {
    name: '`update()` of the key (`ON UPDATE CASCADE` into a column that a condition looks at)',
    captured: ['old and new rows', 'recount'],
    run: async ({ manager }) => {
      await country(manager);
      return () => manager.update(Country, { code: 'old' }, { code: 'north' });
    },
  },
  {
    name: 'a foreign key that TypeORM does not know (here `ON DELETE SET DEFAULT`)',
    captured: ['cascade', 'recount'],
    run: async ({ manager }) => {
      await regions(manager);
      return () => manager.delete(Region, { code: 'a' });
    },
  },
  {
    name: '`ON UPDATE SET DEFAULT`',
    captured: ['old and new rows', 'recount'],
    run: async ({ manager }) => {
      await regions(manager);
      return () => manager.update(Region, { code: 'a' }, { code: 'b' });
    },
  },
]);
