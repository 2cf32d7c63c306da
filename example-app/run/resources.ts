/** What has to be given back, last taken first, however the run ends. */
export class Resources {
  readonly #releases: { readonly name: string; readonly release: () => Promise<void> }[] = [];

  add(name: string, release: () => Promise<void>): void {
    this.#releases.push({ name, release });
  }

  /** Releases everything; what fails is reported and does not keep the rest. */
  async release(): Promise<void> {
    for (let last = this.#releases.pop(); last !== undefined; last = this.#releases.pop()) {
      await last
        .release()
        .catch((error: unknown) => console.error(`could not release ${last?.name}: ${String(error)}`));
    }
  }
}
