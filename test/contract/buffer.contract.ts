import { describeWakeUps } from './buffer/wake-ups';
import { describeAlike } from './buffer/alike';
import { describeBatches } from './buffer/batches';
import { describeClearing } from './buffer/clearing';
import { describeFailures } from './buffer/failures';
import { describeFinalize } from './buffer/finalize';
import { describeFinalizedRequests } from './buffer/finalized-requests';
import { buffersOf, type CreateBuffer } from './buffer/harness';
import { describeIntents } from './buffer/intents';
import { describeKnown } from './buffer/known';
import { describeNames } from './buffer/names';
import { describeRecalculations } from './buffer/recalculations';
import { describeRandomRuns } from './buffer/random-runs';

/**
 * What every `DeltaBuffer` must do. `create` makes an empty one, which shares nothing with any other; `lives` is the
 * number of random lives of each random run.
 */
export function describeBuffer(name: string, create: CreateBuffer, { lives = 25 } = {}): void {
  describe(name, () => {
    const open = buffersOf(create);
    describeIntents(open);
    describeAlike(open);
    describeWakeUps(open);
    describeBatches(open);
    describeFailures(open);
    describeClearing(open);
    describeRecalculations(open);
    describeFinalize(open);
    describeFinalizedRequests(open);
    describeKnown(open);
    describeNames(open);
    describeRandomRuns(open, lives);
  });
}
