import type { DataSource, EntityMetadata } from 'typeorm';

import type { Catalogue } from './catalogue/catalogue';
import { escapePath } from './escape';

/** Where metadata keep the name of their table. On the object itself: it is asked for with every write. */
const NAME = Symbol('typeorm-counter-cache.table');

type Named = EntityMetadata & { [NAME]?: string };

/**
 * Notes which tables the paths of a DataSource's metadata mean, so that what is asked of them later does not depend on the
 * search path of the connection that is used.
 */
export function noteTables({ entityMetadatas }: DataSource, catalogue: Catalogue): void {
  for (const metadata of entityMetadatas) {
    const table = catalogue.tableAt(metadata.tablePath);
    if (table !== undefined) (metadata as Named)[NAME] = table.sql;
  }
}

/** Escaped name of an entity's table, with its schema; `null` while there is none. */
export function knownTable(metadata: EntityMetadata): string | null {
  return (metadata as Named)[NAME] ?? null;
}

/** Escaped name of an entity's table, with its schema; as the metadata give it while the table is not known. */
export function tableSql(metadata: EntityMetadata): string {
  return knownTable(metadata) ?? escapePath(metadata.tablePath);
}
