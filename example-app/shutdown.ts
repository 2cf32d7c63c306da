/** Runs `close` once, at SIGTERM, at SIGINT, or when the process that started this one is gone; then exits. */
export function closeAtEnd(name: string, close: () => Promise<void>): void {
  let closing = false;
  const end = (): void => {
    if (closing) return;
    closing = true;
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(`${name}: did not close cleanly`, error);
        process.exit(1);
      },
    );
  };
  for (const reason of ['SIGTERM', 'SIGINT', 'disconnect']) process.once(reason, end);
}
