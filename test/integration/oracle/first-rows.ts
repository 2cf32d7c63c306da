import { Random } from './random';
import type { Run } from './run-options';
import { attachments, authors, categories, comments, likes, nodes, posts, type Table, tags } from './tables';
import { World } from './world';

const FIRST: readonly (readonly [Table, number])[] = [
  [authors, 5],
  [categories, 3],
  [tags, 4],
  [posts, 12],
  [comments, 12],
  [attachments, 8],
  [likes, 12],
  [nodes, 8],
];

/** Some rows to begin with. */
export async function insertFirstRows(
  run: Pick<Run, 'fixture' | 'journal' | 'keys' | 'seed' | 'setting'>,
): Promise<void> {
  const { fixture, journal, keys, seed, setting } = run;
  const { manager } = fixture.dataSource;
  // Keys of posts and comments differ, or a like that changes its type could be there before its target: keys that the
  // database generates are taken for new.
  await manager.query('ALTER SEQUENCE comment_id_seq RESTART WITH 500001');
  const world = new World(manager, new Random(seed), keys, journal.add('first rows'));
  for (const [table, count] of [...FIRST, ...(setting.firstRows ?? [])]) {
    const rows = await world.freshRows(table, count);
    // A value that is taken already must not keep a run from starting.
    if (table.unique !== null) for (const row of rows) row[table.unique] = null;
    // A relation may be unique as well.
    await manager.createQueryBuilder().insert().into(table.entity).values(rows).orIgnore().execute();
  }
}
