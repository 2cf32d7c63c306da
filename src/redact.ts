import { mask } from './describe';

/** Errors that are looked through, one the cause of the other. */
const CAUSES = 5;

/** What ioredis and the URL parser of Node leave on their errors beside the message. */
interface Telling {
  message?: unknown;
  stack?: unknown;
  input?: unknown;
  command?: unknown;
  cause?: unknown;
  errors?: unknown;
}

/**
 * Takes out of an error, in place, what must not be printed: arguments of the command that Redis refused (`AUTH` has the
 * password among them, others rows of the user), and credentials of URLs. Returns the error.
 */
export function redact<Thrown>(error: Thrown, depth = CAUSES): Thrown {
  if (typeof error !== 'object' || error === null || depth === 0) return error;
  const telling: Telling = error;
  try {
    dropArguments(telling);
    maskTexts(telling);
    redact(telling.cause, depth - 1);
    if (Array.isArray(telling.errors)) for (const one of telling.errors.slice(0, CAUSES)) redact(one, depth - 1);
  } catch {
    // Frozen, or with getters that throw: not one of those that are made by ioredis or Node.
  }
  return error;
}

function dropArguments(error: Telling): void {
  const { command } = error;
  if (typeof command !== 'object' || command === null || !('args' in command)) return;
  const { name } = command as { readonly name?: unknown };
  error.command = { name };
}

function maskTexts(error: Telling): void {
  for (const key of ['message', 'stack', 'input'] as const) {
    const given = error[key];
    if (typeof given !== 'string' || !given.includes('@')) continue;
    const masked = key === 'stack' ? maskFirstLines(given) : mask(given);
    if (masked !== given) error[key] = masked;
  }
}

/** The message at the head of a stack: its frames name files, which may have an `@` in their paths. */
function maskFirstLines(stack: string): string {
  const frames = stack.search(/\n\s+at /);
  return frames === -1 ? mask(stack) : mask(stack.slice(0, frames)) + stack.slice(frames);
}
