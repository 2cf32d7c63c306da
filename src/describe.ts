/** Characters of a text that a message shows. */
const SHOWN = 80;

/** Characters of a text that are looked at for passwords. */
const MASKED = 8 * SHOWN;

/** Items of a list that a message shows. */
const ITEMS = 5;

/** Lists within lists that a message shows. */
const DEPTH = 2;

/** Characters that end a line, cannot be seen, or turn the direction of what follows; JSON escapes only the first 32. */
const UNSEEN = /[\u007F-\u009F\u00AD\u200B-\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/g;

/** What stands between a colon and the last `@` of a word, which may be a password. */
const CREDENTIALS = /([^\s:@/]*):(?!\/\/[^@\s]*$)(\/\/)?([^\s]*)@/g;

/** A short rendering of any value, for messages: of one line, bounded, without passwords of URLs. Never throws. */
export function describe(value: unknown): string {
  try {
    return describeWithin(value, DEPTH);
  } catch {
    // A revoked proxy, or a getter that throws.
    return 'an object that cannot be looked at';
  }
}

/** A name that a user gave, e.g. of an option, for messages: in single quotes, of one line, bounded. */
export function quote(name: string): string {
  return `'${text(name).replaceAll("'", String.raw`\'`)}'`;
}

/** The first characters of a text, with everything escaped that would not stay in its line; without passwords of URLs. */
export function text(value: string): string {
  // Cut before masking, which takes long. The `@` behind a password may be cut off: one is put there, so that it is masked.
  const isCut = value.length > SHOWN;
  const masked = mask(value.length > MASKED ? `${value.slice(0, MASKED)}@` : value);
  const shown = isCut || masked.length > SHOWN ? `${masked.slice(0, SHOWN)}…` : masked;
  return JSON.stringify(shown)
    .slice(1, -1)
    .replaceAll(UNSEEN, escape)
    .replaceAll(String.raw`\"`, '"');
}

/** Hides what looks like credentials of a URL: `redis://user:password@host`, and the same without its beginning. */
export function mask(value: string): string {
  return value.replaceAll(CREDENTIALS, (_all, name: string, slashes: string | undefined) =>
    slashes === undefined ? `${name}:***@` : `${name}://***@`,
  );
}

function describeWithin(value: unknown, depth: number): string {
  if (typeof value === 'string') return `"${text(value).replaceAll('"', String.raw`\"`)}"`;
  if (typeof value === 'bigint') return bigint(value);
  if (typeof value === 'function') return describeFunction(value);
  if (typeof value === 'symbol') return `Symbol(${text(value.description ?? '')})`;
  if (value === null || typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return describeList(value, depth);
  const kind: unknown = (Object.getPrototypeOf(value) as object | null)?.constructor?.name;
  return typeof kind === 'string' && kind !== '' && kind !== 'Object' ? `a ${text(kind)}` : 'an object';
}

function describeList(list: readonly unknown[], depth: number): string {
  if (depth === 0) return `a list of ${list.length}`;
  const shown = list.slice(0, ITEMS).map((item) => describeWithin(item, depth - 1));
  if (list.length > ITEMS) shown.push(`… ${list.length - ITEMS} more`);
  return `[${shown.join(', ')}]`;
}

function describeFunction(value: object): string {
  const { name } = value as { readonly name?: unknown };
  return typeof name === 'string' && name !== '' ? `function ${text(name)}` : 'a function';
}

/** To write all digits of a large one takes long. */
function bigint(value: bigint): string {
  const limit = 10n ** BigInt(SHOWN);
  return value < limit && value > -limit ? `${value}n` : 'a bigint of more than 80 digits';
}

function escape(character: string): string {
  return String.raw`\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
