import { type Bound, isStorableText, unreadable } from './operand';
import type { Relation } from './truth';

/** What LIKE compares with. */
export interface Pattern extends Bound {
  readonly matches: (raw: unknown) => boolean;
}

/** PostgreSQL's LIKE, under a collation that compares bytes. */
export const LIKE: Relation<Pattern> = { sql: 'LIKE', holds: (raw, pattern) => pattern.matches(raw) };

const ANY_TEXT = Symbol('%');
const ANY_CHARACTER = Symbol('_');

type Token = string | typeof ANY_TEXT | typeof ANY_CHARACTER;

/** The pattern of a LIKE on this column; `null` when PostgreSQL would refuse it. */
export function likePattern(pattern: unknown, column: string): Pattern | null {
  if (typeof pattern !== 'string' || !isStorableText(pattern)) return null;
  const tokens = tokenize(pattern);
  if (tokens === null) return null;
  const matches = (raw: unknown): boolean => {
    if (typeof raw !== 'string') throw unreadable(column, 'text', raw);
    return matchesAll(Array.from(raw), tokens);
  };
  return { matches, bound: pattern, cast: 'text' };
}

/** By code point: to PostgreSQL that is one character. `null` when a backslash at the end escapes nothing. */
function tokenize(pattern: string): readonly Token[] | null {
  const tokens: Token[] = [];
  let isEscaped = false;
  for (const character of pattern) {
    if (!isEscaped && character === '\\') {
      isEscaped = true;
      continue;
    }
    tokens.push(isEscaped ? character : tokenOf(character));
    isEscaped = false;
  }
  return isEscaped ? null : tokens;
}

function tokenOf(character: string): Token {
  return character === '%' ? ANY_TEXT : character === '_' ? ANY_CHARACTER : character;
}

/** Goes back to the last `%` only, so that no pattern takes longer than the product of both lengths. */
function matchesAll(text: readonly string[], tokens: readonly Token[]): boolean {
  let at = 0;
  let next = 0;
  let lastAny: { readonly next: number; at: number } | null = null;
  while (at < text.length) {
    const token = tokens[next];
    if (token === ANY_TEXT) {
      next += 1;
      lastAny = { next, at };
    } else if (token === ANY_CHARACTER || token === text[at]) {
      at += 1;
      next += 1;
    } else if (lastAny !== null) {
      lastAny.at += 1;
      ({ at, next } = lastAny);
    } else {
      return false;
    }
  }
  return tokens.slice(next).every((token) => token === ANY_TEXT);
}
