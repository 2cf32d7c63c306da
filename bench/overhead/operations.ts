import type { EntityManager } from 'typeorm';

import { Author, Note, Post } from './entities';

/** A batch: calls to be made one after the other. */
export type Batch = readonly (() => Promise<unknown>)[];

/** A kind of write. */
export interface Operation {
  readonly name: string;
  /** Makes the rows that it needs; the function returned prepares one batch after the other. */
  open(manager: EntityManager, size: number): Promise<() => Promise<Batch>>;
}

/** The operation that the library has set itself a bound for. */
export const SAVE_NEW = 'save() a new row';

const saveNew: Operation = {
  name: SAVE_NEW,
  open: async (manager, size) => async () =>
    Array.from({ length: size }, () => () => {
      const note = new Note();
      note.text = 'new';
      return manager.save(note);
    }),
};

const saveChanged: Operation = {
  name: 'save() a changed row',
  async open(manager, size) {
    const notes = await insertNotes(manager, size);
    let changes = 0;
    return async () =>
      notes.map((note) => () => {
        note.text = `change ${(changes += 1)}`;
        return manager.save(note);
      });
  },
};

const remove: Operation = {
  name: 'remove() a row',
  open: async (manager, size) => async () => {
    const notes = await insertNotes(manager, size);
    return notes.map((note) => () => manager.remove(note));
  },
};

const saveIrrelevant: Operation = {
  name: 'save() irrelevant columns of a counted row',
  async open(manager, size) {
    const posts = await insertPosts(manager, size);
    let changes = 0;
    return async () =>
      posts.map((post) => () => {
        post.title = `change ${(changes += 1)}`;
        return manager.save(post);
      });
  },
};

const updateIrrelevant: Operation = {
  name: 'update() irrelevant columns of counted rows',
  async open(manager, size) {
    const posts = await insertPosts(manager, size);
    let changes = 0;
    return async () =>
      posts.map(
        ({ id }) =>
          () =>
            manager.update(Post, { id }, { title: `change ${(changes += 1)}` }),
      );
  },
};

/** Writes that feed no counter. */
export const OPERATIONS: readonly Operation[] = [saveNew, saveChanged, remove, saveIrrelevant, updateIrrelevant];

async function insertNotes(manager: EntityManager, size: number): Promise<Note[]> {
  const notes = Array.from({ length: size }, () => Object.assign(new Note(), { text: 'old' }));
  await manager.insert(Note, notes);
  return notes;
}

async function insertPosts(manager: EntityManager, size: number): Promise<Post[]> {
  const { id: authorId } = await manager.save(new Author());
  const posts = Array.from({ length: size }, () => Object.assign(new Post(), { title: 'old', authorId }));
  await manager.insert(Post, posts);
  return posts;
}
