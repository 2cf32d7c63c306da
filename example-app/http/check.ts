/** Looks at one value of the input, and adds to `problems` what is wrong with it. */
export type Check<Value> = (value: unknown, path: string, problems: string[]) => Value;

/** Checks by property. */
export type Shape = Readonly<Record<string, Check<unknown>>>;

/** What a shape lets through. */
export type Parsed<Checks extends Shape> = { [Name in keyof Checks]: ReturnType<Checks[Name]> };

/** The input of a request is wrong; answered with 400. */
export class InputError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.problems = problems;
  }
}

/** @throws InputError that lists everything that is wrong */
export function parse<Checks extends Shape>(value: unknown, shape: Checks): Parsed<Checks> {
  const problems: string[] = [];
  const parsed = object(shape)(value, '', problems);
  if (problems.length > 0) throw new InputError(problems);
  return parsed;
}

/** The same for a change: every property may be left out, but not all of them. */
export function parseChange<Checks extends Shape>(value: unknown, shape: Checks): Partial<Parsed<Checks>> {
  const given = isObject(value) ? Object.keys(shape).filter((name) => value[name] !== undefined) : [];
  if (given.length === 0 && isObject(value) && Object.keys(value).every((name) => name in shape)) {
    throw new InputError([`expected at least one of ${Object.keys(shape).join(', ')}`]);
  }
  const checks = Object.fromEntries(given.map((name) => [name, shape[name]])) as unknown as Checks;
  return parse(value, isObject(value) ? checks : shape);
}

/** A JSON object with exactly these properties. */
export function object<Checks extends Shape>(shape: Checks): Check<Parsed<Checks>> {
  return (value, path, problems) => {
    if (!isObject(value)) {
      problems.push(`expected ${path || 'the body'} to be a JSON object, got: ${show(value)}`);
      return {} as Parsed<Checks>;
    }
    const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
    for (const name of Object.keys(value)) if (!(name in shape)) problems.push(`unknown property ${at(name)}`);
    const entries = Object.entries(shape).map(([name, check]) => [name, check(value[name], at(name), problems)]);
    return Object.fromEntries(entries) as Parsed<Checks>;
  };
}

/** A list of 1 to `most` items. */
export function list<Item>(check: Check<Item>, most: number): Check<Item[]> {
  return (value, path, problems) => {
    if (Array.isArray(value) && value.length > 0 && value.length <= most) {
      return value.map((item, i) => check(item, `${path}[${i}]`, problems));
    }
    problems.push(`expected ${path} to be a list of 1 to ${most} items, got: ${show(value)}`);
    return [];
  };
}

/** A value that may be left out. */
export function optional<Value>(check: Check<Value>): Check<Value | undefined> {
  return (value, path, problems) => (value === undefined ? undefined : check(value, path, problems));
}

/** A value that a test accepts. */
export function simple<Value>(expected: string, accepts: (value: unknown) => boolean): Check<Value> {
  return (given, path, problems) => {
    if (!accepts(given)) problems.push(`expected ${path} to be ${expected}, got: ${show(given)}`);
    return given as Value;
  };
}

function isObject(given: unknown): given is Readonly<Record<string, unknown>> {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

function show(given: unknown): string {
  if (given === undefined) return 'nothing';
  if (Array.isArray(given)) return `a list of ${given.length}`;
  const text = JSON.stringify(given);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
