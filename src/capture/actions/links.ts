import type { Counter, CounterTarget, Definitions, Path, PathStep, TargetTable } from '../../model/definition';
import type { Catalogue } from '../../dialects/postgres/catalogue/catalogue';
import { type ColumnsOf, vouchesFor } from '../../dialects/postgres/catalogue/vouches';

/** Rows of a table as intermediate rows of a path. */
export interface PathLink {
  readonly targetTable: TargetTable;
  readonly step: PathStep;
  /** The steps from the next row on; none when the next row is the target. */
  readonly further: readonly PathStep[];
  /** Rows may refer to one that does not exist yet: no foreign key of the database vouches for it. */
  readonly mayAppear: boolean;
}

/** What the rows of a table are between: one link per way and row of it. */
export function linksOf(tablePath: string, { counters }: Definitions, catalogue: Catalogue): readonly PathLink[] {
  const links = new Map<string, PathLink>();
  for (const { source, targetTable, path } of counters.flatMap(routesOf)) {
    for (const [i, step] of path.steps.entries()) {
      if (step.metadata.tablePath !== tablePath) continue;
      const id = `${targetTable.id} ${path.id} ${i}`;
      // Several sources may go one way.
      const mayAppear = links.get(id)?.mayAppear === true || isUnvouched(catalogue, source, path, i);
      links.set(id, { targetTable, step, further: path.steps.slice(i + 1), mayAppear });
    }
  }
  return [...links.values()];
}

/** Whether rows may refer to one of a path that is not there; what the catalogue does not know is asked of the metadata. */
function isUnvouched(catalogue: Catalogue, source: string, path: Path, at: number): boolean {
  const step = path.steps[at];
  if (step === undefined) return true;
  const from = at === 0 ? columnsOf(source, path.entry) : leadingOn(source, path, at - 1);
  const vouches = vouchesFor(catalogue, from, columnsOf(step.metadata.tablePath, step.keys), { isDeferrable: false });
  return vouches === null ? step.mayAppear : !vouches;
}

/**
 * Whether no row of a target table can have sources before it exists: foreign keys vouch for the key that they hold, at
 * the latest at COMMIT.
 */
export function isVouched(targetTable: TargetTable, { counters }: Definitions, catalogue: Catalogue): boolean {
  const to = columnsOf(targetTable.tablePath, targetTable.keys);
  return counters.every(({ source, targets }) =>
    targets.every(({ targetTable: other, path, foreignKeys }) => {
      if (other !== targetTable) return true;
      const { tablePath } = source;
      const from =
        path === null ? columnsOf(tablePath, foreignKeys) : leadingOn(tablePath, path, path.steps.length - 1);
      return vouchesFor(catalogue, from, to, { isDeferrable: true }) === true;
    }),
  );
}

interface Route {
  readonly source: string;
  readonly targetTable: TargetTable;
  readonly path: Path;
}

function routesOf({ source, targets }: Counter): Route[] {
  return targets.flatMap(({ targetTable, path }: CounterTarget) =>
    path === null ? [] : [{ source: source.tablePath, targetTable, path }],
  );
}

/** The columns by which a row of a path refers to the next. */
function leadingOn(source: string, { entry, steps }: Path, at: number): ColumnsOf {
  const step = steps[at];
  return step === undefined ? columnsOf(source, entry) : columnsOf(step.metadata.tablePath, step.foreignKeys);
}

function columnsOf(path: string, columns: readonly { readonly name: string }[]): ColumnsOf {
  return { path, columns: columns.map(({ name }) => name) };
}
