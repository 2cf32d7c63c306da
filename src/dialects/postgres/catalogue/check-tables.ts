import type { DataSource, EntityMetadata } from 'typeorm';

import type { Catalogue, CatalogueTable } from './catalogue';
import { notUnique } from './unique-key';
import type { Counter, Definitions, KeyColumn } from '../../../model/definition';

/** A table that a counter looks at. */
interface Look {
  readonly label: string;
  readonly metadata: EntityMetadata;
  /** The key by which rows of the table are found; `null` where they are not looked for. */
  readonly keys: readonly KeyColumn[] | null;
}

/** What of the database's tables keeps counters from being exact; one message each. Tables that are not there are passed over. */
export function problemsOfTables(
  { counters }: Definitions,
  { entityMetadatas }: DataSource,
  catalogue: Catalogue,
): readonly string[] {
  const looks = counters.flatMap(looksOf);
  return [
    ...new Set([
      ...looks.flatMap((look) => problemOfKey(look, catalogue)),
      ...looks.flatMap((look) => problemsOfDefaults(look, catalogue)),
    ]),
    ...problemsOfRelatives(looks, entityMetadatas, catalogue),
  ];
}

function looksOf({ label, source, targets }: Counter): Look[] {
  return [
    { label, metadata: source, keys: null },
    ...targets.flatMap(({ targetTable, path }) => [
      ...(path?.steps ?? []).map((step) => ({ label, metadata: step.metadata, keys: step.keys })),
      { label, metadata: targetTable.metadata, keys: targetTable.keys },
    ]),
  ];
}

function problemOfKey({ label, metadata, keys }: Look, catalogue: Catalogue): string[] {
  const table = catalogue.tableAt(metadata.tablePath);
  const names = keys?.map(({ name }) => name);
  const found = table === undefined || names === undefined ? null : notUnique(catalogue, table, names);
  if (found === null) return [];
  return [
    `${label}: expected ${names?.join(', ')} to tell the rows of ${metadata.name} apart in the database, got: ${found.got}. ${found.advice}`,
  ];
}

/** What a row becomes is found by its primary key: the database itself must not set that to an unknown value. */
function problemsOfDefaults({ label, metadata }: Look, catalogue: Catalogue): string[] {
  const table = catalogue.tableAt(metadata.tablePath);
  const primary = new Set(metadata.primaryColumns.map(({ databaseName }) => databaseName));
  return (table?.foreignKeys ?? []).flatMap(({ name, columns, deleteSets, onDelete, onUpdate }) => {
    const set = [...(onDelete === 'SET DEFAULT' ? deleteSets : []), ...(onUpdate === 'SET DEFAULT' ? columns : [])];
    const keys = set.filter((column) => primary.has(column));
    if (keys.length === 0) return [];
    return [
      `${label}: expected the foreign key "${name}" of ${table?.sql} not to SET DEFAULT the primary key (${[...new Set(keys)].join(', ')}), which cannot be followed. Use SET NULL or CASCADE, or change the rows before`,
    ];
  });
}

/** Rows of a part are rows of the whole as well, and what is written through one is not captured for the other. */
function problemsOfRelatives(
  looks: readonly Look[],
  metadatas: readonly EntityMetadata[],
  catalogue: Catalogue,
): string[] {
  const problems = new Map<string, string>();
  const at = ({ tablePath }: EntityMetadata): CatalogueTable | undefined => catalogue.tableAt(tablePath);
  for (const { label, metadata } of looks) {
    const table = at(metadata);
    if (table === undefined) continue;
    for (const other of metadatas) {
      const oid = at(other)?.oid ?? '';
      if (oid === table.oid && other.tablePath !== metadata.tablePath)
        problems.set(
          oid,
          `${label}: expected ${metadata.name} and ${other.name} to name their table ${table.sql} alike, got: ${metadata.tablePath} and ${other.tablePath}. Give both the same 'schema'`,
        );
      const isPart = table.descendants.includes(oid);
      if (!isPart && !table.ancestors.includes(oid)) continue;
      const [whole, part] = isPart ? [metadata, other] : [other, metadata];
      const name = `${whole.tablePath} ${part.tablePath}`;
      const message = `${label}: expected ${metadata.name} to be the only entity of its rows, got: ${part.name}, whose table ${at(part)?.sql} is a part of ${at(whole)?.sql}, the table of ${whole.name}: what is written through one would not count for the other. Map one of them only`;
      problems.set(name, problems.get(name) ?? message);
    }
  }
  return [...problems.values()];
}
