import { BUILDERS } from './builders';
import { CASCADES } from './cascades';
import { CRITERIA } from './criteria';
import { FAILURES } from './failures';
import { INSERTS } from './inserts';
import { JUNCTIONS } from './junctions';
import type { Kinds } from './kind';
import { REMOVALS } from './removals';
import { SAVES } from './saves';

/** Kinds of writes that begin no transaction of their own. */
export const STATEMENTS: Kinds = { ...INSERTS, ...CRITERIA, ...BUILDERS };

/** Kinds of writes that end well unless another stands in their way. */
export const WRITES: Kinds = { ...SAVES, ...CASCADES, ...JUNCTIONS, ...REMOVALS, ...STATEMENTS };

export { FAILURES };
