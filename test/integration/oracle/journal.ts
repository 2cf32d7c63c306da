import type { EntitySubscriberInterface, Logger, QueryRunner } from 'typeorm';

type AfterQuery = Parameters<NonNullable<EntitySubscriberInterface['afterQuery']>>[0];

/** One line of the journal, to which details and an outcome are added. */
export class Line {
  #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  note(details: readonly unknown[]): void {
    this.#text += ` ${details.map((detail) => (typeof detail === 'string' ? detail : JSON.stringify(detail))).join(' ')}`;
  }

  toString(): string {
    return this.#text;
  }
}

/** What was done and sent, in order. */
export class Journal implements Logger, EntitySubscriberInterface {
  readonly #lines: (Line | string)[] = [];
  #statements: string[] = [];
  readonly #runners = new WeakMap<QueryRunner, number>();
  #runnerCount = 0;

  add(text: string): Line {
    const line = new Line(text);
    this.#lines.push(line);
    return line;
  }

  /** Where the statements of an operation begin. */
  forgetStatements(): void {
    this.#statements = [];
  }

  logQuery(query: string, parameters?: unknown[], runner?: QueryRunner): void {
    const values = parameters === undefined || parameters.length === 0 ? '' : ` -- ${JSON.stringify(parameters)}`;
    this.#statements.push(`${this.#nameOf(runner)}${query}${values}`);
  }

  logQueryError(error: string | Error, _query: string, _parameters?: unknown[], runner?: QueryRunner): void {
    this.#statements.push(`${this.#nameOf(runner)}  failed: ${String(error)}`);
  }

  /** What the library's own columns returned: who changed what, in the order of the answers. */
  afterQuery({ query, rawResults, queryRunner }: AfterQuery): void {
    if (!query.includes('__cc_')) return;
    const { rows = [] } = (rawResults ?? {}) as { rows?: unknown[] };
    this.#statements.push(`${this.#nameOf(queryRunner)}  returned: ${JSON.stringify(rows)}`);
  }

  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
  log(): void {}

  #nameOf(runner: QueryRunner | undefined): string {
    if (runner === undefined) return '';
    const number = this.#runners.get(runner) ?? ++this.#runnerCount;
    this.#runners.set(runner, number);
    return `${number}: `;
  }

  operations(): string[] {
    return this.#lines.map(String);
  }

  statements(): readonly string[] {
    return this.#statements;
  }
}
