import { Album, Author, Book, Post, Shelf } from '../entities/blog';
import { Unit } from '../entities/forum';
import { group } from '../write-path';
import { blog } from './seeds';

export const SAVES = group('`save()`', [
  {
    name: 'a new row',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager);
      return () => manager.save(Post, { authorId: author.id, likes: 2 });
    },
  },
  {
    name: 'a new row that counts for nothing',
    captured: ['returned rows'],
    run:
      async ({ manager }) =>
      () =>
        manager.save(Post, { authorId: null, likes: 2 }),
  },
  {
    name: 'a row, changed where it counts',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.save(Object.assign(post, { likes: 5 }));
    },
  },
  {
    name: 'a row, moved to another target',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post, other } = await blog(manager);
      return () => manager.save(Object.assign(post, { author: other }));
    },
  },
  {
    name: 'a row, changed where it does not count',
    captured: [],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.save(Object.assign(post, { title: 'new' }));
    },
  },
  {
    name: 'an unchanged row',
    captured: [],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.save(post);
    },
  },
  {
    name: 'an array: 2 new rows, 2 changed ones',
    captured: ['returned rows', 'old and new rows'],
    run: async ({ manager }) => {
      const { author, posts } = await blog(manager, [{}, {}]);
      const changed = posts.map((post) => Object.assign(post, { likes: 7 }));
      const added = [0, 1].map(() => manager.create(Post, { authorId: author.id, likes: 3 }));
      return () => manager.save([...changed, ...added]);
    },
  },
  {
    name: '5 new rows, `chunk: 2`',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager);
      const added = [0, 1, 2, 3, 4].map((likes) => manager.create(Post, { authorId: author.id, likes }));
      return () => manager.save(added, { chunk: 2 });
    },
  },
  {
    name: 'a partial row',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.save(Post, { id: post.id, likes: 8 });
    },
  },
  {
    name: 'a row with its delete date set',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post } = await blog(manager);
      return () => manager.save(Object.assign(post, { deletedAt: new Date(0) }));
    },
  },
  {
    name: '`listeners: false`',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager);
      return () => manager.save(Post, { authorId: author.id }, { listeners: false });
    },
  },
  {
    name: '`reload: false`',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { author } = await blog(manager);
      return () => manager.save(Post, { authorId: author.id }, { reload: false });
    },
  },
  {
    name: '`transaction: false`: 1 new row, 1 changed one',
    captured: ['returned rows', 'old and new rows'],
    run: async ({ manager }) => {
      const { author, post } = await blog(manager);
      const rows = [manager.create(Post, { authorId: author.id }), Object.assign(post, { likes: 4 })];
      return () => manager.save(rows, { transaction: false });
    },
  },
  {
    name: 'a node of a tree',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const parent = await manager.save(manager.create(Unit));
      return () => manager.save(manager.create(Unit, { parent }));
    },
  },
  {
    name: 'a node of a tree, moved',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const parent = await manager.save(manager.create(Unit));
      const other = await manager.save(manager.create(Unit));
      const unit = await manager.save(manager.create(Unit, { parent }));
      return () => manager.save(Object.assign(unit, { parent: other }));
    },
  },
]);

export const CASCADED_SAVES = group('Cascades of TypeORM', [
  {
    name: 'a new target with 2 new sources',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const author = manager.create(Author, { posts: [{ likes: 1 }, { likes: 2 }] });
      return () => manager.save(author);
    },
  },
  {
    name: 'adoption: a source of another target',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { post, other } = await blog(manager);
      return () => manager.save(manager.create(Author, { id: other.id, posts: [post] }));
    },
  },
  {
    name: 'an orphan that is kept (`nullify`)',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const { author, posts } = await blog(manager, [{}, {}]);
      return () => manager.save(manager.create(Author, { id: author.id, posts: posts.slice(1) }));
    },
  },
  {
    name: 'an orphan that is deleted (`delete`)',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const album = await manager.save(manager.create(Album, { songs: [{ seconds: 1 }, { seconds: 400 }] }));
      return () => manager.save(Object.assign(album, { songs: album.songs.slice(0, 1) }));
    },
  },
  {
    name: 'an orphan that is soft-deleted (`soft-delete`)',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const shelf = await manager.save(manager.create(Shelf));
      const books = await manager.save([0, 1].map(() => manager.create(Book, { shelf })));
      return () => manager.save(manager.create(Shelf, { id: shelf.id, books: books.slice(0, 1) }));
    },
  },
  {
    name: '`softRemove()` of a target with 2 sources',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const album = await manager.save(manager.create(Album, { songs: [{}, {}] }));
      return () => manager.softRemove(album);
    },
  },
  {
    name: '`recover()` of a target with 2 sources',
    captured: ['old and new rows'],
    run: async ({ manager }) => {
      const album = await manager.save(manager.create(Album, { songs: [{}, {}] }));
      await manager.softRemove(album);
      return () => manager.recover(album);
    },
  },
  {
    name: '`remove()` of a target with 2 sources',
    captured: ['returned rows', 'recount'],
    run: async ({ manager }) => {
      const album = await manager.save(manager.create(Album, { songs: [{}, {}] }));
      return () => manager.remove(album);
    },
  },
]);
