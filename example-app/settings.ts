/** What a process of the service is told by its environment. */
export interface Settings {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  /** First part of the library's keys in Redis. */
  readonly prefix: string;
  /** Port of the API; 0 takes a free one. */
  readonly port: number;
}

/** @throws Error that names the variable that is missing or wrong. */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const port = Number(environment['PORT'] ?? 0);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`expected PORT to be a whole number from 0 to 65535, got: ${environment['PORT']}`);
  }
  return {
    databaseUrl: required(environment, 'DATABASE_URL'),
    redisUrl: required(environment, 'REDIS_URL'),
    prefix: environment['COUNTERS_PREFIX'] ?? 'cc',
    port,
  };
}

/** The same as environment variables, for a child process. */
export function environmentOf({ databaseUrl, redisUrl, prefix, port }: Settings): Record<string, string> {
  return { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl, COUNTERS_PREFIX: prefix, PORT: String(port) };
}

function required(environment: NodeJS.ProcessEnv, name: string): string {
  const value = environment[name];
  if (value === undefined || value === '') throw new Error(`expected ${name} to be set to a URL`);
  return value;
}
