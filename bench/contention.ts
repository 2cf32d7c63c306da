import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import type { Benchmark } from './benchmark';
import { Child } from './child';
import type { ClientSample } from './contention/client-program';
import { entitiesOf } from './contention/entities';
import { present, type MeasuredScenario } from './contention/present';
import { PARENTS, SCENARIOS, type Scenario } from './contention/scenarios';
import { type ContentionVariant, VARIANTS } from './contention/variants';
import type { Environment } from './environment';
import { interleave, type Variant } from './rounds';

/** Seconds of one sample; every round takes two of each variant. */
const SAMPLE = 0.5;

const WARM_UP = 0.5;

/** What keeping a counter costs those who write. */
export const contention: Benchmark = {
  name: 'contention',
  describe:
    'What a counter column costs 32 concurrent writers of children, by way of keeping it, compared with no counter at all.',
  postgres: { fsync: 'on', full_page_writes: 'on', max_connections: '400', shared_buffers: '512MB' },
  seconds: 900,
  async run(environment, seconds) {
    await createTables(environment);
    const worker = await Child.start(
      join(__dirname, 'contention/worker-program.js'),
      environment.databaseUrl,
      environment.redisUrl,
    );
    const clients = await startClients(environment);
    const measured: MeasuredScenario[] = [];
    try {
      const only = process.env['SCENARIOS'];
      const scenarios = SCENARIOS.filter(({ name }) => only === undefined || new RegExp(only).test(name));
      for (const scenario of scenarios) {
        console.log(`Measuring: ${scenario.name} …`);
        const variants = VARIANTS.filter(({ name }) => new RegExp(process.env['VARIANTS'] ?? '').test(name)).map(
          (variant) => sampler(variant, scenario, clients, worker),
        );
        for (const variant of variants) await variant.sample();
        measured.push({ scenario, rounds: await interleave(variants, seconds / scenarios.length) });
      }
      return present(measured);
    } finally {
      for (const client of clients.values()) await client.close();
      await worker.close();
    }
  },
};

export async function createTables({ databaseUrl: url, redisUrl: redis }: Environment): Promise<void> {
  const entities = VARIANTS.map(({ name, durability }) => entitiesOf(name, durability));
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    entities: entities.flatMap((one) => Object.values(one)),
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
  await dataSource.destroy();
}

async function startClients({ databaseUrl, redisUrl }: Environment): Promise<Map<string, Child>> {
  const clients = new Map<string, Child>();
  for (const { name } of VARIANTS)
    clients.set(name, await Child.start(join(__dirname, 'contention/client-program.js'), name, databaseUrl, redisUrl));
  return clients;
}

function sampler(
  { name, durability }: ContentionVariant,
  scenario: Scenario,
  clients: ReadonlyMap<string, Child>,
  worker: Child,
): Variant<ClientSample> {
  return {
    name,
    async sample() {
      const sample = await clients.get(name)?.ask<ClientSample>({ scenario, seconds: SAMPLE });
      if (sample === undefined) throw new Error(`there are no clients of ${name}`);
      if (durability !== null) await worker.ask({});
      return sample;
    },
  };
}
