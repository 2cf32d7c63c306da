import type { Alarm } from '../../../model/pending';

/** One call of the buffer: its present, and the alarms it has to return, one per distinct time. */
export class Step {
  readonly #reconcile = new Set<number>();
  readonly #recalculate = new Set<number>();

  constructor(
    readonly now: number,
    readonly window: number,
  ) {}

  reconcileAt(time: number): void {
    this.#reconcile.add(time);
  }

  recalculateAt(time: number): void {
    this.#recalculate.add(time);
  }

  alarms(shard: number): Alarm[] {
    const alarm = (kind: Alarm['kind']) => (at: number) => ({ kind, shard, at, delay: at - this.now });
    return [...[...this.#reconcile].map(alarm('reconcile')), ...[...this.#recalculate].map(alarm('recalculate'))];
  }
}
