import { NotPermittedError } from '../errors';
import type { JobContext } from './context';

/**
 * Does work that another worker goes on with where this one may not see all it needs: reported once, and not thrown, so that
 * it keeps nothing else waiting.
 */
export async function ifPermitted({ events }: Pick<JobContext, 'events'>, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof NotPermittedError)) throw error;
    reportNotPermitted({ events }, error);
  }
}

/** Reports what this process may not see, once for each list of it. */
export function reportNotPermitted({ events }: Pick<JobContext, 'events'>, error: NotPermittedError): void {
  events.reportOnce(`not permitted ${error.problems.join()}`, error);
}
