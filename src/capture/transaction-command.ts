/** A statement that begins, divides or ends a transaction, or does what no row tells of. */
export type TransactionCommand =
  | { readonly kind: 'truncate' }
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
const LONGEST = Math.max(...[...USUAL.keys()].map(({ length }) => length));

/** How every command of interest begins; all other statements are passed over at once. */
const BEGINNINGS = new Set(['beg', 'sta', 'sav', 'rel', 'rol', 'com', 'end', 'abo', 'tru']);
const FIRST_LETTERS = new Set([...BEGINNINGS].map((beginning) => beginning.charCodeAt(0)));

const A = 'A'.charCodeAt(0);
const LOWER_CASE = 0x20;

const NAME = String.raw`("(?:[^"]|"")*"|[\w$]+)`;
const CHAIN = /\bAND\s+CHAIN\b/i;
const PATTERNS: readonly (readonly [RegExp, (name: string, sql: string) => TransactionCommand])[] = [
  [
    new RegExp(`^ROLLBACK(?:\\s+(?:WORK|TRANSACTION))?\\s+TO(?:\\s+SAVEPOINT)?\\s+${NAME}`, 'i'),
    (name) => ({ kind: 'rollback-to', name }),
  ],
  [new RegExp(`^RELEASE(?:\\s+SAVEPOINT)?\\s+${NAME}`, 'i'), (name) => ({ kind: 'release', name })],
  [new RegExp(`^SAVEPOINT\\s+${NAME}`, 'i'), (name) => ({ kind: 'savepoint', name })],
  [/^TRUNCATE\b/i, () => ({ kind: 'truncate' })],
  [/^(?:BEGIN|START\s+TRANSACTION)\b/i, () => ({ kind: 'begin' })],
  [/^(?:COMMIT|END)\b(?!\s+PREPARED)/i, (_, sql) => ({ kind: 'commit', chain: CHAIN.test(sql) })],
  [/^(?:ROLLBACK|ABORT)\b(?!\s+PREPARED)/i, (_, sql) => ({ kind: 'rollback', chain: CHAIN.test(sql) })],
];

/**
 * Recognises transaction commands by their text. TypeORM's own and raw ones alike pass through `query()`, so one
 * reading of the text follows both; TypeORM's transaction events miss raw ones, and fire per savepoint.
 */
export function transactionCommand(sql: string): TransactionCommand | null {
  if (!mayBeCommand(sql)) return null;
  const usual = sql.length <= LONGEST ? USUAL.get(sql) : undefined;
  if (usual !== undefined) return usual;
  const text = sql.charCodeAt(0) < A ? sql.replace(/^(?:\s+|--[^\n]*\n|\/\*[\s\S]*?\*\/)+/, '') : sql;
  if (!BEGINNINGS.has(text.slice(0, 3).toLowerCase())) return null;
  for (const [pattern, command] of PATTERNS) {
    const match = pattern.exec(text);
    if (match !== null) return command(foldName(match[1] ?? ''), text);
  }
  return null;
}

/** By its first character: a letter that a command begins with, or what may stand before one. */
function mayBeCommand(sql: string): boolean {
  const first = sql.charCodeAt(0);
  return first < A || FIRST_LETTERS.has(first | LOWER_CASE);
}

/** Unquoted names fold to lower case, as PostgreSQL folds them. */
function foldName(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
}
