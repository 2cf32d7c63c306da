import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import type { Benchmark } from './benchmark';
import { Child } from './child';
import type { ClientSample } from './contention/client-program';
import { entitiesOf } from './contention/entities';
import { type MeasuredScenario, present, type ScenarioFigures, summarize } from './contention/present';
import { PARENTS, SCENARIOS, type Scenario } from './contention/scenarios';
import { type ContentionVariant, VARIANTS } from './contention/variants';
import type { Environment } from './environment';
import { interleave, type Variant } from './rounds';

/** Seconds of one sample; every round takes two of each variant. */
const SAMPLE = 0.4;

const ROUNDS = 5;

/** Seconds for which each client writes before all: V8 compiles more of a process the longer it runs. */
const WARM_UP = 8;

/** What keeping a counter costs those who write. */
export const contention: Benchmark<readonly ScenarioFigures[]> = {
  name: 'contention',
  describe:
    'What a counter column costs 32 concurrent writers of children, by the way it is kept, compared with no counter at all.',
  postgres: { fsync: 'on', full_page_writes: 'on', max_connections: '400', shared_buffers: '512MB' },
  seconds: 32 * SCENARIOS.length,
  summarize,
  async run(environment, seconds) {
    const dataSource = await createTables(environment);
    const worker = await startProgram('worker', environment);
    const clients = new Map<string, Child>();
    try {
      for (const { name } of VARIANTS) clients.set(name, await startProgram('client', environment, name));
      console.log('Warming up …');
      for (const client of clients.values())
        for (const scenario of SCENARIOS.filter(({ parents }) => parents === 1))
          await client.ask({ scenario, seconds: WARM_UP / 6 });
      const measured: MeasuredScenario[] = [];
      for (const scenario of SCENARIOS) {
        console.log(`Measuring: ${scenario.name} …`);
        await dataSource.query('VACUUM');
        const variants = VARIANTS.map((variant) => sampler(variant, scenario, clients, worker));
        // What the servers' caches hold.
        for (const variant of variants) await variant.sample();
        const rounds = await interleave(variants, seconds / SCENARIOS.length, ROUNDS);
        measured.push({ scenario, rounds, wrong: await countWrong(dataSource) });
      }
      return present(measured);
    } finally {
      for (const program of [...clients.values(), worker]) await program.close();
      await dataSource.destroy();
    }
  },
};

function startProgram(
  program: 'client' | 'worker',
  { databaseUrl, redisUrl }: Environment,
  ...args: string[]
): Promise<Child> {
  return Child.start(join(__dirname, `contention/${program}-program.js`), databaseUrl, redisUrl, ...args);
}

async function createTables({ databaseUrl: url, redisUrl: redis }: Environment): Promise<DataSource> {
  const entities = VARIANTS.map(({ name, mode }) => entitiesOf(name, mode));
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    entities: entities.flatMap(({ author, post }) => [author, post]),
    synchronize: true,
  });
  const counters = await Counters.attach(dataSource, { redis });
  await dataSource.initialize();
  for (const [i, { ddl }] of VARIANTS.entries()) {
    const [author, post] = [entities[i]?.author.options.name ?? '', entities[i]?.post.options.name ?? ''];
    for (const sql of ddl?.({ author, post }) ?? []) await dataSource.query(sql);
    await dataSource.query(`INSERT INTO "${author}" SELECT FROM generate_series(1, $1)`, [PARENTS]);
  }
  await dataSource.query('VACUUM ANALYZE');
  await counters.close();
  return dataSource;
}

function sampler(
  { name, mode }: ContentionVariant,
  scenario: Scenario,
  clients: ReadonlyMap<string, Child>,
  worker: Child,
): Variant<ClientSample> {
  return {
    name,
    async sample() {
      const sample = await clients.get(name)?.ask<ClientSample>({ scenario, seconds: SAMPLE });
      if (sample === undefined) throw new Error(`there are no clients of ${name}`);
      // What is left of it is not applied while another variant is measured.
      if (mode !== null || name === 'naive') await worker.ask({});
      return sample;
    },
  };
}

/** Parents whose count is wrong, per variant. */
async function countWrong(dataSource: DataSource): Promise<Map<string, number>> {
  const wrong = new Map<string, number>();
  for (const { name, count } of VARIANTS.filter(({ isPlain }) => isPlain !== true)) {
    const counted = count?.(`author_${name}`) ?? 'a."postsCount"';
    const [row] = await dataSource.query<{ wrong: string }[]>(
      `SELECT count(*) AS wrong FROM author_${name} a
       LEFT JOIN (SELECT "authorId" AS id, count(*) AS posts FROM post_${name} GROUP BY 1) p ON p.id = a.id
       WHERE ${counted} <> COALESCE(p.posts, 0)`,
    );
    wrong.set(name, Number(row?.wrong));
  }
  return wrong;
}
