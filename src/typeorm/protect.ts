import type { Definitions } from '../model/definition';

/**
 * Keeps TypeORM from writing counter columns (I7): neither a stale entity that is saved, nor an inserted copy, nor
 * `orUpdate` may overwrite what is maintained. New rows get the column's default.
 *
 * @returns a function that takes the protection off again.
 */
export function protectCounterColumns(definitions: Definitions): () => void {
  const undo: (() => void)[] = [];
  // Of an STI table, every class has metadata of its own.
  for (const [metadata, names] of definitions.counterColumnsOf) {
    for (const column of metadata.columns.filter(({ databaseName }) => names.has(databaseName))) {
      const { isInsert, isUpdate } = column;
      undo.push(() => Object.assign(column, { isInsert, isUpdate }));
      Object.assign(column, { isInsert: false, isUpdate: false });
    }
  }
  return () => {
    // Backwards: children may share a parent's column, and the first state seen is the original.
    for (const restore of undo.splice(0).toReversed()) restore();
  };
}
