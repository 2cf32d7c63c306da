import type { WakeUp } from '../../../model/pending';

/** One call of the buffer: its present, and the wake-ups it has to return, one per distinct time. */
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

  wakeUps(shard: number): WakeUp[] {
    const wakeUp = (kind: WakeUp['kind']) => (at: number) => ({ kind, shard, at, delay: at - this.now });
    return [...[...this.#reconcile].map(wakeUp('reconcile')), ...[...this.#recalculate].map(wakeUp('recalculate'))];
  }
}
