import { describe } from '../describe';
import { MODES, type Mode, isMode } from '../model/mode';
import { didYouMean } from '../suggest';
import type { Declaration } from './declaration';
import type { CounterCacheOptions, EntityLike } from './options';

/** A function of the declaration, of unknown arguments. */
export type UserFunction = (...args: never[]) => unknown;

/** The options of one declaration, of the right types, not yet resolved against metadata. */
export interface ParsedOptions {
  readonly relation: string | null;
  readonly junction: string | null;
  readonly polymorphic: ParsedPolymorphic | null;
  readonly column: string | UserFunction;
  readonly columns: readonly string[] | null;
  readonly condition: UserFunction | null;
  /** Anything; `undefined` when absent. */
  readonly where: unknown;
  readonly incrementBy: number | bigint | string | UserFunction;
  readonly touch: true | string | null;
  readonly wait: number | UserFunction | null;
  readonly reads: readonly string[] | null;
  readonly recalculation: { readonly delay: number | null } | false;
  readonly method: string | UserFunction | null;
  readonly includeSoftDeleted: boolean;
  readonly flushAt: number | null;
  readonly name: string | null;
  readonly mode: Mode | null;
}

/** The `polymorphic` option, with its targets called. */
export interface ParsedPolymorphic {
  readonly id: string;
  readonly type: string;
  readonly targets: ReadonlyMap<string, EntityLike>;
  readonly ignore: readonly string[];
  /** From the row that the id names to the target; by type when an object. */
  readonly path: string | Readonly<Record<string, string>> | null;
}

const WAYS = ['relation', 'junction', 'polymorphic'] as const;

/** Options that look at source rows. */
const OF_SOURCES = ['if', 'where', 'incrementBy', 'reads', 'column', 'wait'] as const;

type Report = (message: string) => void;
type Options = Readonly<Record<string, unknown>>;

const OPTIONS = Object.keys({
  relation: 1, junction: 1, polymorphic: 1, column: 1, columns: 1, if: 1, where: 1, incrementBy: 1, touch: 1, wait: 1, reads: 1, recalculation: 1,
  recalculationDelay: 1, method: 1, includeSoftDeleted: 1, flushAt: 1, name: 1, partitions: 1, mode: 1,
} satisfies Record<keyof CounterCacheOptions, 1>); // prettier-ignore
const POLYMORPHIC_OPTIONS = ['id', 'type', 'targets', 'ignore', 'path'];

/** Checks the shape of a declaration's options; `null` when it is too wrong to go on. */
export function parseOptions(declaration: Declaration, report: Report): ParsedOptions | null {
  const options = declaration.options;
  if (!isObject(options)) {
    report(`expected options to be an object, got: ${describe(options)}. Write @CounterCache({ relation, column })`);
    return null;
  }
  reportUnknown(options, OPTIONS, '', report);
  reportUnavailable(options, report);
  const column = parseColumn(options, report);
  if (column === null) return null;
  return {
    ...parseTarget(declaration, options, report),
    ...column,
    condition: optional(options, 'if', isFunction, 'a function of the source', report),
    where: options['where'],
    incrementBy:
      optional(options, 'incrementBy', isAmount, 'a number, a property of the source, or a function', report) ?? 1,
    touch: optional(options, 'touch', isTouch, 'true or a property of the target', report),
    wait: optional(options, 'wait', isWait, 'milliseconds, 0 or more, or a function of the source', report),
    reads: optional(options, 'reads', isStrings, 'a list of properties', report),
    recalculation: parseRecalculation(options, report),
    method: optional(options, 'method', isNameOrFunction, 'the name of a method of the target, or a function', report),
    includeSoftDeleted: optional(options, 'includeSoftDeleted', isBoolean, 'a boolean', report) ?? false,
    flushAt: optional(options, 'flushAt', isPositiveInteger, 'a positive whole number', report),
    name: optional(options, 'name', isName, 'a text of at least one character', report),
    mode: optional(options, 'mode', isMode, `one of '${MODES.join("', '")}'`, report),
  };
}

function reportUnknown(options: Options, known: readonly string[], prefix: string, report: Report): void {
  for (const key of Object.keys(options)) {
    if (!known.includes(key))
      report(`unknown option '${prefix}${key}'${didYouMean(key, known) || `, expected one of ${known.join(', ')}`}`);
  }
}

function reportUnavailable({ partitions }: Options, report: Report): void {
  if (partitions !== undefined && partitions !== 1) {
    report(`expected 'partitions' to be 1, got: ${describe(partitions)}. It is not available yet: leave it out`);
  }
}

function parseTarget(
  declaration: Declaration,
  options: Options,
  report: Report,
): Pick<ParsedOptions, 'relation' | 'junction' | 'polymorphic'> {
  const { property, isStatic } = declaration;
  if (isStatic)
    report(`expected @CounterCache on a relation property or a class, got: the static property '${property}'. Move it`);
  const relation = optional(options, 'relation', isName, 'a relation of the source', report);
  const junction = optional(options, 'junction', isName, 'a many-to-many relation of the class', report);
  const polymorphic = options['polymorphic'] === undefined ? null : parsePolymorphic(options['polymorphic'], report);
  if (property !== null && relation !== null && relation !== property) {
    report(
      `expected 'relation' to be left out on a property, got: '${relation}' on '${property}'. Remove it, or decorate the class`,
    );
  }
  reportWays(property, options, report);
  return { relation: polymorphic === null && junction === null ? (relation ?? property) : null, junction, polymorphic };
}

/** There is one way from source to target. */
function reportWays(property: string | null, options: Options, report: Report): void {
  const given = WAYS.filter((option) => options[option] !== undefined);
  const onClass = given.filter((option) => option !== 'relation');
  if (property !== null && onClass.length > 0)
    report(`expected '${onClass[0]}' on the class, got: on a property. Decorate the class`);
  if (property === null && given.length === 0)
    report("expected 'relation', 'junction' or 'polymorphic', got none. Name the relation that leads to the target");
  if (given.length > 1) report(`expected one of '${given.join("', '")}', got ${given.length}. Keep one`);
  if (given.includes('junction'))
    for (const option of OF_SOURCES.filter((name) => looksAtSource(name, options[name])))
      report(
        `expected no '${option}' that looks at rows of a junction table, got: ${describe(options[option])}. Make the junction an entity of its own, with two many-to-one relations, and count that`,
      );
}

function looksAtSource(option: (typeof OF_SOURCES)[number], value: unknown): boolean {
  if (option === 'column' || option === 'wait') return isFunction(value);
  if (option === 'incrementBy') return isFunction(value) || typeof value === 'string';
  return value !== undefined;
}

function parsePolymorphic(value: unknown, report: Report): ParsedPolymorphic | null {
  if (!isObject(value)) {
    report(`expected 'polymorphic' to be { id, type, targets }, got: ${describe(value)}`);
    return null;
  }
  reportUnknown(value, POLYMORPHIC_OPTIONS, 'polymorphic.', report);
  const nested = (message: string): void => report(message.replace("'", "'polymorphic."));
  const id = required(value, 'id', isName, 'a property of the source', nested);
  const type = required(value, 'type', isName, 'a property of the source', nested);
  const ignore = optional(value, 'ignore', isStrings, 'a list of types', nested) ?? [];
  const path = optional(value, 'path', isPath, 'a path of relations, or one for each type', nested);
  const targets = parseTargets(value['targets'], report);
  if (id === null || type === null || targets === null) return null;
  for (const ignored of ignore.filter((name) => targets.has(name)))
    report(
      `expected 'polymorphic.ignore' to list types without a target, got: '${ignored}', which has one. Remove one of them`,
    );
  reportPathTypes(path, targets, report);
  return { id, type, targets, ignore, path };
}

/** The further way from rows of one type; `undefined` when they are the targets. */
export function pathOfType({ path }: ParsedPolymorphic, type: string): string | undefined {
  if (path === null || typeof path === 'string') return path ?? undefined;
  return Object.hasOwn(path, type) ? path[type] : undefined;
}

function reportPathTypes(
  path: ParsedPolymorphic['path'],
  targets: ReadonlyMap<string, EntityLike>,
  report: Report,
): void {
  if (path === null || typeof path === 'string') return;
  for (const type of Object.keys(path).filter((key) => !targets.has(key)))
    report(
      `expected 'polymorphic.path' to name types of 'polymorphic.targets', got: '${type}'${didYouMean(type, targets.keys())}. Remove it`,
    );
}

function parseTargets(value: unknown, report: Report): ReadonlyMap<string, EntityLike> | null {
  let targets: unknown = value;
  try {
    targets = isFunction(value) ? value() : value;
  } catch (error) {
    report(
      `expected 'polymorphic.targets' to return entities, got an exception: ${error instanceof Error ? error.message : describe(error)}`,
    );
    return null;
  }
  if (!isFunction(value) || !isObject(targets) || Object.keys(targets).length === 0) {
    report(
      `expected 'polymorphic.targets' to be a function that returns { type: Entity, … }, got: ${describe(isFunction(value) ? targets : value)}. Write () => ({ User, Store })`,
    );
    return null;
  }
  return new Map(Object.entries(targets) as [string, EntityLike][]);
}

function parseColumn(options: Options, report: Report): Pick<ParsedOptions, 'column' | 'columns'> | null {
  const column = required(
    options,
    'column',
    isNameOrFunction,
    'a property of the target, or a function of the source',
    report,
  );
  const columns = optional(options, 'columns', isStrings, 'a list of properties of the target', report);
  if (column === null) return null;
  if (typeof column === 'string' && options['columns'] !== undefined)
    report("expected 'columns' only with a function as 'column', got both 'columns' and a name. Remove 'columns'");
  if (typeof column === 'function' && (columns === null || columns.length === 0)) {
    report(
      `expected 'columns' to list what the function 'column' may return, got: ${describe(options['columns'])}. List every column`,
    );
    return null;
  }
  if (columns !== null && new Set(columns).size !== columns.length)
    report(`expected 'columns' to list each column once, got: ${describe(columns)}`);
  return { column, columns: typeof column === 'function' ? columns : null };
}

function parseRecalculation(options: Options, report: Report): ParsedOptions['recalculation'] {
  const enabled = optional(options, 'recalculation', isBoolean, 'a boolean', report) ?? true;
  const delay = optional(options, 'recalculationDelay', isPositive, 'milliseconds, more than 0', report);
  if (!enabled && delay !== null)
    report("expected no 'recalculationDelay' with 'recalculation: false', got both. Remove one");
  return enabled ? { delay } : false;
}

function optional<T>(
  options: Options,
  key: string,
  is: (value: unknown) => value is T,
  expected: string,
  report: Report,
): T | null {
  const value = options[key];
  if (value === undefined || is(value)) return value ?? null;
  report(`expected '${key}' to be ${expected}, got: ${describe(value)}`);
  return null;
}

function required<T>(
  options: Options,
  key: string,
  is: (value: unknown) => value is T,
  expected: string,
  report: Report,
): T | null {
  if (options[key] === undefined) report(`expected '${key}' to be ${expected}, got: undefined. Add it`);
  return optional(options, key, is, expected, report);
}

const isObject = (value: unknown): value is Options =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isFunction = (value: unknown): value is UserFunction => typeof value === 'function';
const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
const isName = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isStrings = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isName);
const isPath = (value: unknown): value is string | Readonly<Record<string, string>> =>
  isName(value) || (isObject(value) && Object.values(value).every(isName));
const isNameOrFunction = (value: unknown): value is string | UserFunction => isName(value) || isFunction(value);
const isAmount = (value: unknown): value is number | bigint | string | UserFunction =>
  typeof value === 'number' || typeof value === 'bigint' || isNameOrFunction(value);
const isTouch = (value: unknown): value is true | string => value === true || isName(value);
const isWait = (value: unknown): value is number | UserFunction =>
  isFunction(value) || (typeof value === 'number' && Number.isFinite(value) && value >= 0);
const isPositive = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0;
const isPositiveInteger = (value: unknown): value is number => isPositive(value) && Number.isSafeInteger(value);
