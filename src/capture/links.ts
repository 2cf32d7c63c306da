import type { Definitions, PathStep, TargetKind } from '../counter/definition';

/** Rows of a table as rows between sources and targets. */
export interface PathLink {
  readonly kind: TargetKind;
  readonly step: PathStep;
  /** The steps from the next row on; none when the next row is the target. */
  readonly further: readonly PathStep[];
}

/** What the rows of a table are between: one link per way and row of it. */
export function linksOf(tablePath: string, { counters }: Definitions): readonly PathLink[] {
  const links = new Map<string, PathLink>();
  for (const { kind, path } of counters.flatMap(({ targets }) => targets)) {
    for (const [i, step] of (path?.steps ?? []).entries()) {
      if (step.metadata.tablePath !== tablePath) continue;
      links.set(`${kind.id} ${path?.id} ${i}`, { kind, step, further: path?.steps.slice(i + 1) ?? [] });
    }
  }
  return [...links.values()];
}
