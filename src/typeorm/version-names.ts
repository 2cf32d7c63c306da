/** How a RETURNING clause names the versions of a row before and after. */
export interface VersionNames {
  /** Escaped. */
  readonly old: string;
  readonly new: string;
}

/** `WITH (OLD AS …, NEW AS …)` at the beginning of a RETURNING clause of PostgreSQL 18. */
const WITH = /^\s*WITH\s*\(/i;
const OPTION = /\s*(OLD|NEW)\s+AS\s+((?:[Uu]&)?"(?:[^"]|"")*"|[A-Za-z_\u0080-\uFFFF][\w$\u0080-\uFFFF]*)\s*([,)])/iy;

/** Names that nothing else has. */
const OURS: VersionNames = { old: '__cc_o', new: '__cc_n' };

/**
 * Sees to it that a RETURNING clause has names for both versions, and keeps those that the caller uses: `old` and `new`, or
 * what a `WITH (OLD AS …)` of the caller's gives. To name them otherwise would hide `old` and `new`.
 *
 * @param base - the caller's columns; empty when there are none
 * @param relation - what the statement calls its table: PostgreSQL has no `old` beside a table of that name
 * @returns what stands before our columns, and the names to use in these
 */
export function nameVersions(
  base: string,
  relation: string,
): { readonly clause: string; readonly names: VersionNames } {
  if (base === '') return { clause: withOptions([optionOf('old'), optionOf('new')]), names: OURS };
  const given = givenNames(base);
  const names = { old: nameOf('old', given, relation), new: nameOf('new', given, relation) };
  const missing = (['old', 'new'] as const).filter((version) => names[version] === OURS[version]);
  const rest = given === null ? base : base.slice(given.end);
  const options = [...(given?.options ?? []), ...missing.map(optionOf)];
  return { clause: `${options.length === 0 ? '' : withOptions(options)}${rest}, `, names };
}

function nameOf(version: keyof VersionNames, given: Given | null, relation: string): string {
  return given?.names[version] ?? (relation === version ? OURS[version] : version);
}

function optionOf(version: keyof VersionNames): string {
  return `${version.toUpperCase()} AS ${OURS[version]}`;
}

function withOptions(options: readonly string[]): string {
  return `WITH (${options.join(', ')}) `;
}

interface Given {
  readonly names: Partial<VersionNames>;
  /** As they stand there. */
  readonly options: readonly string[];
  /** Where the columns begin. */
  readonly end: number;
}

/** Names that the caller gives; `null` when there are none, or when PostgreSQL will refuse them. */
function givenNames(base: string): Given | null {
  const start = WITH.exec(base);
  if (start === null) return null;
  const names: { old?: string; new?: string } = {};
  const options: string[] = [];
  OPTION.lastIndex = start[0].length;
  for (;;) {
    const [, version = '', name = '', end] = OPTION.exec(base) ?? [];
    if (end === undefined) return null;
    names[version.toLowerCase() === 'old' ? 'old' : 'new'] = name;
    options.push(`${version} AS ${name}`);
    if (end === ')') return { names, options, end: OPTION.lastIndex };
  }
}
