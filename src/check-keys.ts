import { ConfigurationError } from './errors';
import { didYouMean } from './suggest';

/**
 * Refuses keys that an options object does not have: a misspelt one would silently mean "all".
 *
 * @throws ConfigurationError with a suggestion for each
 */
export function checkKeys(given: object, known: readonly string[], what: string): void {
  const unknown = Object.keys(given).filter((key) => !known.includes(key));
  if (unknown.length === 0) return;
  throw new ConfigurationError(
    unknown.map((key) => `${what}: unknown option '${key}'${didYouMean(key, known)}. Known: ${known.join(', ')}`),
  );
}
