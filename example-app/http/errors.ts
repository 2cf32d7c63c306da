import type { NextFunction, Request, Response } from 'express';
import { EntityNotFoundError, QueryFailedError } from 'typeorm';

import { InputError } from './check';

/** What a client is told. */
interface Answer {
  readonly status: number;
  readonly problems: readonly string[];
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const BY_SQL_STATE: Readonly<Record<string, Answer>> = {
  '23503': { status: 409, problems: ['a row that this one refers to does not exist, or others still refer to it'] },
  '23505': { status: 409, problems: ['it exists already'] },
  '40001': { status: 503, problems: ['others were writing the same rows; try again'] },
  '40P01': { status: 503, problems: ['others were writing the same rows; try again'] },
};

/** There is no such row; answered with 404. */
export class NotFoundError extends Error {}

/** @throws NotFoundError when a statement changed no row */
export function mustAffect({ affected }: { readonly affected?: number | null }, what: string): void {
  if ((affected ?? 0) === 0) throw new NotFoundError(`no such ${what}`);
}

/** Express' last handler: every error becomes an answer, and what nobody expected is logged. */
export function answerErrors(error: unknown, _request: Request, response: Response, next: NextFunction): void {
  if (response.headersSent) {
    next(error);
    return;
  }
  const { status, problems } = answerOf(error);
  if (status === 500) console.error('api:', error);
  response.status(status).json({ problems });
}

function answerOf(error: unknown): Answer {
  if (error instanceof InputError) return { status: 400, problems: error.problems };
  if (error instanceof NotFoundError) return { status: 404, problems: [error.message] };
  if (error instanceof EntityNotFoundError) return { status: 404, problems: ['no such row'] };
  const sqlState = error instanceof QueryFailedError ? (error.driverError as { code?: string }).code : undefined;
  const known = sqlState === undefined ? undefined : BY_SQL_STATE[sqlState];
  if (known !== undefined) return known;
  // Errors of body-parser: no JSON, too large.
  const { status, message, expose } = error as { status?: number; message?: string; expose?: boolean };
  if (status !== undefined && expose === true) return { status, problems: [message ?? 'bad request'] };
  return { status: 500, problems: ['something went wrong here'] };
}
