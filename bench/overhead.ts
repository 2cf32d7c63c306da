import { Redis } from 'ioredis';
import { Counters } from 'typeorm-counter-cache';

import type { Benchmark } from './benchmark';
import type { Environment } from './environment';
import { measureHotLoops } from './overhead/hot-loop';
import { type Operation, OPERATIONS } from './overhead/operations';
import { RemoteSubject } from './overhead/remote-subject';
import { type Measured, type OverheadFigures, present, summarize } from './overhead/present';
import { newDataSource, Subject } from './overhead/subject';
import { countCommands } from './redis-info';
import { interleave } from './rounds';

/** Seconds of rounds that are thrown away, of every operation before all and again before its own. */
const WARM_UP = 1.2;
/** Seconds for the hot loops. */
const HOT_LOOPS = 3;

/** The DataSources that are compared. */
interface Subjects {
  readonly attached: Subject;
  readonly notAttached: Subject;
  /** Another one like `notAttached`: what the method finds between two that are equal. */
  readonly control: Subject;
  readonly neverAttached: RemoteSubject;
  readonly counters: Counters;
}

/** What the library costs a write that is none of its business. */
export const overhead: Benchmark<OverheadFigures> = {
  name: 'overhead',
  describe:
    'What a DataSource with counters attached costs writes that feed no counter, compared with one without them in the same process; over one connection, one write at a time.',
  // Without the wait for the disk a write is faster, and the same cost a larger part of it.
  postgres: { synchronous_commit: 'off', autovacuum: 'off' },
  seconds: 55,
  summarize,
  async run(environment, seconds) {
    await createTables(environment.databaseUrl, environment.redisUrl);
    const subjects = await startSubjects(environment);
    try {
      const measured: Measured[] = [];
      // What V8 compiles for one operation serves the others too.
      for (const operation of OPERATIONS) await warmUp(operation, subjects);
      for (const operation of OPERATIONS) {
        console.log(`Measuring: ${operation.name} …`);
        measured.push(await measure(operation, subjects, environment, seconds / OPERATIONS.length));
      }
      const hot = await measureHotLoops(subjects.attached.dataSource, subjects.notAttached.dataSource, HOT_LOOPS);
      return present(measured, hot);
    } finally {
      await stop(subjects);
    }
  },
};

/** With a DataSource of its own, so that none of those compared has a connection with a past. */
async function createTables(databaseUrl: string, redis: string): Promise<void> {
  const dataSource = newDataSource(databaseUrl);
  const counters = await Counters.attach(dataSource, { redis });
  await dataSource.initialize();
  await dataSource.synchronize();
  await counters.close();
  await dataSource.destroy();
}

async function startSubjects({ databaseUrl, redisUrl: redis }: Environment): Promise<Subjects> {
  const [first, second, third] = [newDataSource(databaseUrl), newDataSource(databaseUrl), newDataSource(databaseUrl)];
  const counters = await Counters.attach(first, { redis });
  const attached = new Subject('attached', await first.initialize());
  const notAttached = new Subject('not attached', await second.initialize());
  const control = new Subject('control', await third.initialize());
  for (const subject of [notAttached, control]) subject.useConnectionOf(attached);
  return { attached, notAttached, control, neverAttached: await RemoteSubject.start(databaseUrl), counters };
}

async function stop({ attached, notAttached, control, neverAttached, counters }: Subjects): Promise<void> {
  await counters.close();
  for (const subject of [neverAttached, attached, notAttached, control]) await subject.close();
}

async function warmUp(operation: Operation, { counters, ...subjects }: Subjects): Promise<void> {
  for (const subject of Object.values(subjects)) await subject.open(operation);
  // The rows that were made may feed counters.
  await counters.settled();
  await interleave(Object.values(subjects), WARM_UP);
}

async function measure(
  operation: Operation,
  subjects: Subjects,
  { redisUrl }: Environment,
  seconds: number,
): Promise<Measured> {
  await warmUp(operation, subjects);
  const { attached, notAttached, control, neverAttached } = subjects;
  const [fixedAttached, commands] = await withCommands(redisUrl, () => attached.count());
  return {
    operation: operation.name,
    fixed: { attached: fixedAttached, notAttached: await notAttached.count() },
    commands,
    rounds: await interleave([attached, notAttached, control, neverAttached], seconds),
  };
}

/** Commands that Redis has carried out meanwhile. */
async function withCommands<Result>(redisUrl: string, work: () => Promise<Result>): Promise<[Result, number]> {
  const redis = new Redis(redisUrl);
  try {
    const commands = await countCommands(redis);
    const result = await work();
    return [result, await commands()];
  } finally {
    redis.disconnect();
  }
}
