import type { DataSource } from 'typeorm';

import { type Declared, declaredIn, reportNonEntities } from './declared-entities';
import type { Definitions } from '../model/definition';
import { identityOf, labelOf } from './label';
import { tableIdOfDraft, link } from './link';
import { parseOptions } from './parse-options';
import { Problems } from './problems';
import { type CounterDraft, resolveCounter } from './resolve-counter';
import { sourceOf } from './resolve-targets';

/**
 * Reads the declarations on the entities of a DataSource, whose metadata must have been built, and resolves them.
 *
 * @throws ConfigurationError that lists every mistake.
 */
export function resolveDefinitions(dataSource: DataSource): Definitions {
  const problems = new Problems();
  const { type } = dataSource.options;
  if (type !== 'postgres') {
    problems.add(`DataSource: expected 'type' to be 'postgres', got: '${type}'. Other databases are not available yet`);
    problems.throwIfAny();
  }
  reportNonEntities(dataSource, problems);
  const drafts = declaredIn(dataSource).flatMap((declared) => resolveOne(declared, dataSource, problems) ?? []);
  reportDuplicates(drafts, problems);
  reportMixedKeys(drafts, problems);
  reportChains(drafts, problems);
  problems.throwIfAny();
  return link(drafts, dataSource);
}

function resolveOne(
  { metadata, declaration }: Declared,
  dataSource: DataSource,
  problems: Problems,
): CounterDraft | null {
  const messages: string[] = [];
  const parsed = parseOptions(declaration, (message) => messages.push(message));
  const named = parsed === null ? null : { metadata, parsed, dataSource };
  const label = named === null ? placeOf({ metadata, declaration }) : labelOf(named);
  const report = problems.at(label);
  for (const message of messages) report(message);
  const source = named === null ? null : sourceOf(named, report);
  if (named === null || source === null) return null;
  return resolveCounter({
    dataSource,
    metadata: source,
    declaring: metadata,
    parsed: named.parsed,
    label,
    identity: identityOf(named),
    report,
  });
}

function placeOf({ metadata, declaration }: Declared): string {
  return declaration.property === null ? metadata.name : `${metadata.name}.${declaration.property}`;
}

function reportDuplicates(drafts: readonly CounterDraft[], problems: Problems): void {
  const names = new Map<string, CounterDraft>();
  const identities = new Map<string, CounterDraft>();
  for (const draft of drafts) {
    const twin = identities.get(draft.identity);
    const namesake = names.get(draft.name);
    if (twin !== undefined && twin.source === draft.source) {
      problems.at(draft.label)(
        "expected to be declared once, got: twice. Remove one, or combine them in one 'incrementBy' function",
      );
    } else if (namesake !== undefined) {
      problems.at(draft.label)(
        `expected a name of its own, got: '${draft.name}', which ${namesake.label} has too. Give each a 'name'`,
      );
    }
    identities.set(draft.identity, draft);
    names.set(draft.name, draft);
  }
}

/** A column is applied and recounted by one key. */
function reportMixedKeys(drafts: readonly CounterDraft[], problems: Problems): void {
  const owners = new Map<string, { readonly tableId: string; readonly label: string; readonly keys: string }>();
  for (const draft of drafts) {
    for (const target of draft.targets) {
      const tableId = tableIdOfDraft(target);
      const keys = target.keys.map(({ name }) => name).join(', ');
      for (const { databaseName } of target.columns) {
        const column = JSON.stringify([target.metadata.tablePath, databaseName]);
        const owner = owners.get(column) ?? { tableId, label: draft.label, keys };
        owners.set(column, owner);
        if (owner.tableId !== tableId)
          problems.at(draft.label)(
            `expected to reach the target by the same key as ${owner.label} (${owner.keys}), since both feed one column, got: ${keys}. Use a column for each`,
          );
      }
    }
  }
}

/** The library's own updates of a counter column are not captured, so nothing may be counted from them. */
function reportChains(drafts: readonly CounterDraft[], problems: Problems): void {
  const maintained = new Set(
    drafts.flatMap(({ targets }) =>
      targets.flatMap(({ metadata, columns }) =>
        columns.map(({ databaseName }) => JSON.stringify([metadata.tablePath, databaseName])),
      ),
    ),
  );
  for (const { named, label } of drafts) {
    for (const { option, metadata, column } of named) {
      if (maintained.has(JSON.stringify([metadata.tablePath, column]))) {
        problems.at(label)(
          `expected '${option}' not to use a counter column, got: "${column}" of ${metadata.name}, whose changes are applied later and not captured. Count the original rows`,
        );
      }
    }
  }
}
