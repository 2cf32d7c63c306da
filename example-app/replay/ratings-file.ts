import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';

import { parse } from 'csv-parse';

/** One line of a trace. */
export interface TracedRating {
  readonly user: string;
  readonly movie: string;
  readonly value: number;
  readonly time: number;
}

/** The file cannot be replayed. */
export class TraceError extends Error {}

const COLUMNS = ['userId', 'movieId', 'rating', 'timestamp'] as const;

/**
 * Reads a ratings file (`userId,movieId,rating,timestamp`, gzipped if it ends in `.gz`), sorted by time: in the file
 * each user's ratings are together, but that is not how they were made.
 *
 * @throws TraceError that names the file, and the line that is wrong
 */
export async function readRatings(file: string): Promise<TracedRating[]> {
  try {
    await access(file);
    const input = createReadStream(file);
    const text = file.endsWith('.gz') ? input.pipe(createGunzip()) : input;
    // pipe() leaves an error of the input behind.
    input.on('error', (error: Error) => text.destroy(error));
    const rows = parse({ columns: checkHeader, info: true, bom: true });
    text.on('error', (error: Error) => rows.destroy(error));
    const ratings: TracedRating[] = [];
    for await (const { record, info } of text.pipe(rows) as AsyncIterable<CsvLine>)
      ratings.push(parseLine(record, info.lines));
    if (ratings.length === 0) throw new Error('it has no ratings');
    return ratings.toSorted((a, b) => a.time - b.time);
  } catch (error) {
    throw new TraceError(`cannot replay ${file}: ${(error as Error).message}`, { cause: error });
  }
}

type Column = (typeof COLUMNS)[number];

interface CsvLine {
  readonly record: Readonly<Record<Column, string>>;
  readonly info: { readonly lines: number };
}

function checkHeader(header: string[]): string[] {
  const missing = COLUMNS.filter((column) => !header.includes(column));
  if (missing.length === 0) return header;
  throw new Error(`expected the columns ${COLUMNS.join(', ')}, got: ${header.join(', ')}`);
}

function parseLine({ userId, movieId, rating, timestamp }: CsvLine['record'], line: number): TracedRating {
  const value = Number(rating);
  const time = Number(timestamp);
  if (userId === '' || movieId === '') throw new Error(`line ${line}: expected a userId and a movieId`);
  if (!Number.isInteger(value * 2) || value < 0.5 || value > 5) {
    throw new Error(`line ${line}: expected a rating in half stars from 0.5 to 5, got: '${rating}'`);
  }
  if (!Number.isFinite(time)) throw new Error(`line ${line}: expected a timestamp, got: '${timestamp}'`);
  return { user: userId, movie: movieId, value, time };
}
