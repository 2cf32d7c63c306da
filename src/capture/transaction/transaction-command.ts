/** A statement that begins, divides or ends a transaction, or does what no row shows. */
export type TransactionCommand =
  | { readonly kind: 'truncate' }
  /** Tables, constraints, triggers, policies or privileges may be others afterwards. */
  | { readonly kind: 'schema-change' }
  | { readonly kind: 'begin' }
  /** `chain`: a new transaction begins at once. */
  | { readonly kind: 'commit' | 'rollback'; readonly chain: boolean }
  | { readonly kind: 'savepoint' | 'release' | 'rollback-to'; readonly name: string };

/** As TypeORM sends them, and most people write them: every statement of an application passes here, twice. */
const USUAL: ReadonlyMap<string, TransactionCommand> = new Map<string, TransactionCommand>([
  ['START TRANSACTION', { kind: 'begin' }],
  ['BEGIN', { kind: 'begin' }],
  ['COMMIT', { kind: 'commit', chain: false }],
  ['ROLLBACK', { kind: 'rollback', chain: false }],
]);
const MAX_USUAL_LENGTH = Math.max(...[...USUAL.keys()].map(({ length }) => length));

/** How every command of interest begins; all other statements are passed over at once. */
const BEGINNINGS = new Set('beg sta sav rel rol com end abo tru cre alt dro gra rev'.split(' '));
const FIRST_LETTERS = new Set([...BEGINNINGS].map((beginning) => beginning.charCodeAt(0)));
const A = 'A'.charCodeAt(0);
const LOWER_CASE = 0x20;

/** Names are cut to this many bytes (PostgreSQL's NAMEDATALEN - 1). */
const MAX_NAME_BYTES = 63;

/**
 * Recognises transaction commands by their text. TypeORM's own and raw ones alike pass through `query()`, so one
 * reading of the text follows both; TypeORM's transaction events miss raw ones, and fire per savepoint. Of several
 * commands in one text only the first is read.
 */
export function transactionCommand(sql: string): TransactionCommand | null {
  if (!mayBeCommand(sql)) return null;
  const usual = sql.length <= MAX_USUAL_LENGTH ? USUAL.get(sql) : undefined;
  if (usual !== undefined) return usual;
  const words = new Words(sql);
  words.skip();
  return words.startsWith(BEGINNINGS) ? read(words) : null;
}

/** By its first character: a letter that a command begins with, or what may stand before one. */
function mayBeCommand(sql: string): boolean {
  const first = sql.charCodeAt(0);
  return first < A || FIRST_LETTERS.has(first | LOWER_CASE);
}

function read(words: Words): TransactionCommand | null {
  switch (words.next()) {
    case 'begin':
      return { kind: 'begin' };
    case 'start':
      return words.take('transaction') ? { kind: 'begin' } : null;
    case 'commit':
    case 'end':
      return words.take('prepared') ? null : { kind: 'commit', chain: chains(words) };
    case 'rollback':
    case 'abort':
      return rollback(words);
    case 'savepoint':
      return named('savepoint', words);
    case 'release':
      words.take('savepoint');
      return named('release', words);
    case 'truncate':
      return { kind: 'truncate' };
    case 'create':
      return words.take('temp') || words.take('temporary') ? null : { kind: 'schema-change' };
    case 'alter':
    case 'drop':
    case 'grant':
    case 'revoke':
      return { kind: 'schema-change' };
    default:
      return null;
  }
}

function rollback(words: Words): TransactionCommand | null {
  if (words.take('prepared')) return null;
  const chain = chains(words);
  if (!words.take('to')) return { kind: 'rollback', chain };
  words.take('savepoint');
  return named('rollback-to', words);
}

/** Reads `[WORK | TRANSACTION] [AND [NO] CHAIN]`. */
function chains(words: Words): boolean {
  if (!words.take('work')) words.take('transaction');
  return words.take('and') && words.take('chain');
}

function named(kind: 'savepoint' | 'release' | 'rollback-to', words: Words): TransactionCommand | null {
  const name = words.name();
  return name === null ? null : { kind, name };
}

const WORD = /[A-Za-z_\u0080-\uFFFF][\w$\u0080-\uFFFF]*/y;
const QUOTED = /(?:[Uu]&)?"(?:[^"]|"")*"/y;

/** Reads a text word by word; blanks and comments between them, and semicolons before the first, mean nothing. */
class Words {
  readonly #sql: string;
  #at = 0;

  constructor(sql: string) {
    this.#sql = sql;
  }

  startsWith(beginnings: ReadonlySet<string>): boolean {
    return beginnings.has(this.#sql.slice(this.#at, this.#at + 3).toLowerCase());
  }

  /** Moves on to the first command. */
  skip(): void {
    this.#skipBlanks();
    while (this.#sql[this.#at] === ';') {
      this.#at += 1;
      this.#skipBlanks();
    }
  }

  /** The next word, in lower case; empty when there is none. */
  next(): string {
    return (this.#match(WORD) ?? '').toLowerCase();
  }

  /** Whether the next word is this one; then it is read. */
  take(word: string): boolean {
    const start = this.#at;
    if (this.next() === word) return true;
    this.#at = start;
    return false;
  }

  /** The next name as PostgreSQL would store it; `null` when there is none. */
  name(): string | null {
    const quoted = this.#match(QUOTED);
    if (quoted !== undefined) return cut(unquote(quoted));
    const word = this.#match(WORD);
    // Letters beyond ASCII are not folded in UTF-8.
    return word === undefined ? null : cut(word.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()));
  }

  #match(pattern: RegExp): string | undefined {
    this.#skipBlanks();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#sql)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #skipBlanks(): void {
    for (;;) {
      const start = this.#at;
      while (' \t\n\r\f\v'.includes(this.#sql[this.#at] ?? 'x')) this.#at += 1;
      if (this.#sql.startsWith('--', this.#at)) this.#skipLine();
      else if (this.#sql.startsWith('/*', this.#at)) this.#skipComment();
      if (this.#at === start) return;
    }
  }

  #skipLine(): void {
    while (this.#at < this.#sql.length && !'\n\r'.includes(this.#sql[this.#at] ?? '\n')) this.#at += 1;
  }

  /** Comments nest. */
  #skipComment(): void {
    let depth = 0;
    do {
      if (this.#sql.startsWith('/*', this.#at)) depth += 1;
      else if (this.#sql.startsWith('*/', this.#at)) depth -= 1;
      else {
        this.#at += 1;
        continue;
      }
      this.#at += 2;
    } while (depth > 0 && this.#at < this.#sql.length);
  }
}

function unquote(quoted: string): string {
  if (quoted.startsWith('"')) return quoted.slice(1, -1).replaceAll('""', '"');
  const text = quoted.slice(3, -1).replaceAll('""', '"');
  return text.replaceAll(/\\(?:\\|\+([\dA-Fa-f]{6})|([\dA-Fa-f]{4}))/g, (all, long?: string, short?: string) =>
    all === '\\\\' ? '\\' : String.fromCodePoint(Math.min(Number.parseInt(long ?? short ?? '0', 16), 0x10_ffff)),
  );
}

function cut(name: string): string {
  let short = name;
  while (Buffer.byteLength(short) > MAX_NAME_BYTES) short = Array.from(short).slice(0, -1).join('');
  return short;
}
