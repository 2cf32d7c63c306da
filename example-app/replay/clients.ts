/** Runs `count` clients at once; each does `step` after `step` until it says there is no more. Fails with the first. */
export async function runClients(count: number, step: (client: number) => Promise<boolean>): Promise<void> {
  const failure = new AbortController();
  const client = async (number: number): Promise<void> => {
    try {
      while (!failure.signal.aborted && (await step(number)));
    } catch (error) {
      failure.abort();
      throw error;
    }
  };
  await Promise.all(Array.from({ length: count }, (_, number) => client(number)));
}
