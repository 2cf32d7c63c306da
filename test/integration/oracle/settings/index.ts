import { CATALOGUE_DRIFT } from './catalogue-drift';
import { CHOSEN_KEYS } from './chosen-keys';
import { DERIVED_COLUMNS } from './derived-columns';
import { NULL_KEYS } from './null-keys';
import { ROW_SECURITY } from './row-security';
import { SEARCH_PATHS } from './search-paths';
import type { Setting } from './setting';

/** Kinds of worlds beside the plain one. */
export const SETTINGS: readonly Setting[] = [
  ROW_SECURITY,
  SEARCH_PATHS,
  CATALOGUE_DRIFT,
  DERIVED_COLUMNS,
  CHOSEN_KEYS,
  NULL_KEYS,
];

/** The plain world: what the entities say is all there is. */
export const PLAIN_SETTING: Setting = { name: 'plain' };

/** Those of a run: `ORACLE_WORLD` names some, by commas. @throws for a name that is none */
export function chosenSettings(all: readonly Setting[] = SETTINGS): readonly Setting[] {
  const names = process.env['ORACLE_WORLD']?.split(',');
  if (names === undefined) return all;
  const known = [PLAIN_SETTING, ...SETTINGS].map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new Error(`ORACLE_WORLD: no world ${unknown.join(', ')}; there are ${known.join(', ')}`);
  return all.filter(({ name }) => names.includes(name));
}
