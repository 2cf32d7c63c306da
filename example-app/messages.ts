/** What a child process tells the one that started it. */
export type ChildMessage =
  /** It serves; `url` is where, for the API. */
  | { readonly kind: 'ready'; readonly url?: string }
  /** A worker wrote counter columns. */
  | ({ readonly kind: 'applied' } & Applied)
  /** A recalculation found columns that were wrong. */
  | { readonly kind: 'drift'; readonly found: readonly string[] };

/** What one batch did to parents. */
export interface Applied {
  /** UPDATE statements. */
  readonly statements: number;
  /** Parent rows updated. */
  readonly rows: number;
  /** Rows of which a column changed, by `Entity.column`. */
  readonly columns: Readonly<Record<string, number>>;
}

/** Sends to the process that started this one, if there is one. */
export function tell(message: ChildMessage): void {
  if (process.connected) process.send?.(message);
}
