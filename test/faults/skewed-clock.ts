/** Makes the wall clock of this process differ by `offset` ms, as a machine without NTP would have it. */
export function skewClock(offset: number): void {
  const { Date: RealDate } = globalThis;
  class SkewedDate extends RealDate {
    constructor(...args: [] | [number | string]) {
      super(...((args.length === 0 ? [SkewedDate.now()] : args) as [number]));
    }
    static override now(): number {
      return RealDate.now() + offset;
    }
  }
  globalThis.Date = SkewedDate as DateConstructor;
}
