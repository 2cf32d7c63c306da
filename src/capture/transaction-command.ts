/** A statement that begins, divides or ends a transaction, or does what no row tells of. */
export type TransactionCommand =
  | { readonly kind: 'truncate' }
  | { readonly kind: 'begin' }
  /** `chain`: a new transaction begins at once. */
  | { readonly kind: 'commit' | 'rollback'; readonly chain: boolean }
  | { readonly kind: 'savepoint' | 'release' | 'rollback-to'; readonly name: string };

/** How every command of interest begins; all other statements are passed over at once. */
const BEGINNINGS = new Set(['beg', 'sta', 'sav', 'rel', 'rol', 'com', 'end', 'abo', 'tru']);

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
  const text = /^[\s/-]/.test(sql) ? sql.replace(/^(?:\s+|--[^\n]*\n|\/\*[\s\S]*?\*\/)+/, '') : sql;
  if (!BEGINNINGS.has(text.slice(0, 3).toLowerCase())) return null;
  for (const [pattern, command] of PATTERNS) {
    const match = pattern.exec(text);
    if (match !== null) return command(foldName(match[1] ?? ''), text);
  }
  return null;
}

/** Unquoted names fold to lower case, as PostgreSQL folds them. */
function foldName(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
}
