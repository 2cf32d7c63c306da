import { Session } from 'node:inspector/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { Counters } from 'typeorm-counter-cache';

import { Author, Post } from '../integration/blog';
import { redisUrl } from '../support/redis';
import { newDataSource, TEST_OPTIONS } from '../support/setup';

/** Files of `src/` that walks pass. */
export interface Walks {
  readonly save: readonly string[];
  readonly recount: readonly string[];
}

const SOURCE = join(__dirname, '../../src');

/** Files of ours that work passes each time; what runs beside it, of its own accord, does not. */
async function walkOf(session: Session, work: () => Promise<unknown>): Promise<string[]> {
  const [first, ...others] = [await filesOf(session, work), await filesOf(session, work), await filesOf(session, work)];
  return first.filter((file) => others.every((one) => one.includes(file)));
}

/** Files of ours in which a function ran meanwhile. */
async function filesOf(session: Session, work: () => Promise<unknown>): Promise<string[]> {
  await session.post('Profiler.takePreciseCoverage');
  await work();
  const { result } = await session.post('Profiler.takePreciseCoverage');
  const ran = result.filter(({ functions }) => functions.some(({ ranges }) => ranges.some(({ count }) => count > 0)));
  return ran
    .map(({ url }) => (url.startsWith('file:') ? fileURLToPath(url) : url))
    .filter((path) => path.startsWith(SOURCE))
    .map((path) => relative(SOURCE, path))
    .toSorted();
}

/** Measured in a process of its own, in which nothing else has run. */
async function main(): Promise<void> {
  const dataSource = newDataSource(process.env['PROGRAM_DATABASE'] ?? '', [Author, Post]);
  const quiet = { ...TEST_OPTIONS, sweepInterval: 600_000, wait: 600_000 };
  const counters = await Counters.attach(dataSource, { redis: redisUrl(), ...quiet });
  await dataSource.initialize();
  const authors = await dataSource.manager.save(
    Author,
    Array.from({ length: 4 }, () => ({ name: 'a' })),
  );
  const write = async (): Promise<void> => {
    await dataSource.manager.save(Post, { authorId: authors.pop()?.id ?? 1 });
    await counters.settled();
  };
  const recount = () => counters.recalculate({ target: Author, ids: [1] });
  await write();
  await recount();
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  const walks: Walks = { save: await walkOf(session, write), recount: await walkOf(session, recount) };
  session.disconnect();
  await counters.close();
  await dataSource.destroy();
  process.send?.(walks);
}

void main();
