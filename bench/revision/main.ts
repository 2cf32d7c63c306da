// `npm run bench:revision -- REVISION`: this build beside another one, by turns, on the same servers.
import 'reflect-metadata';

import { join } from 'node:path';
import { Command } from 'commander';
import { Client } from 'pg';

import { Child } from '../child';
import { type Environment, ROOT, startEnvironment } from '../environment';
import { PRODUCTION } from '../flush/settings';
import { count, decimals, withSpread } from '../format';
import { renderText } from '../report';
import { compare, interleave, type Round, valuesOf } from '../rounds';
import { median } from '../statistics';
import { checkOut } from './checkout';
import type { RevisionRequest } from './client-program';
import type { RevisionSample } from './subject';
import { type Task, TASKS } from './tasks';

interface Options {
  readonly ours: string;
  readonly theirs: string;
  readonly rounds: string;
}

/** Seconds of one sample; a round takes two of each build. */
const SAMPLE = 1;

const BUILDS = ['this', 'that'] as const;

async function run(revision: string, { ours, theirs, rounds }: Options): Promise<void> {
  const checkout = checkOut(revision);
  const environment = await startEnvironment({ ...PRODUCTION, max_connections: '200' });
  const clients = new Map<string, Child>();
  try {
    console.log(`this: the working tree, ${ours}\nthat: ${checkout.title}, ${theirs}\n`);
    clients.set('this', await startClient(environment, ROOT, 'this', ours));
    clients.set('that', await startClient(environment, checkout.root, 'that', theirs));
    const rows: string[][] = [];
    for (const task of TASKS) {
      console.log(`Measuring: ${task.name} …`);
      const measured = await measure(clients, task, Number(rounds));
      rows.push(rowOf(task, measured));
    }
    const columns = ['', 'this / that per second', 'processor time', 'this, per second'];
    const note = 'Medians, with the middle half of the rounds.';
    const title = `${rounds} rounds of ${2 * SAMPLE} s of each build, A B B A`;
    console.log(
      renderText({ name: '', facts: environment.facts, targets: [], notes: [], figures: null }, [
        { title, columns, rows, note },
      ]),
    );
    for (const build of BUILDS) console.log(`wrong counts, ${build}: ${String(await ask(clients, build, 'wrong'))}`);
  } finally {
    for (const client of clients.values()) await client.close();
    await environment.stop();
    checkout.remove();
  }
}

async function startClient(
  { databaseUrl, redisUrl }: Environment,
  root: string,
  build: string,
  options: string,
): Promise<Child> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`CREATE DATABASE ${build}_build`);
  await client.end();
  const url = new URL(databaseUrl);
  url.pathname = `/${build}_build`;
  return Child.start(join(__dirname, 'client-program.js'), root, url.href, redisUrl, build, options);
}

function ask<Answer>(clients: ReadonlyMap<string, Child>, build: string, request: RevisionRequest): Promise<Answer> {
  const client = clients.get(build);
  if (client === undefined) throw new Error(`there is no client of ${build}`);
  return client.ask<Answer>(request);
}

async function measure(
  clients: ReadonlyMap<string, Child>,
  task: Task,
  rounds: number,
): Promise<Round<RevisionSample>[]> {
  const variants = BUILDS.map((name) => ({
    name,
    sample: () => ask<RevisionSample>(clients, name, { task, seconds: SAMPLE }),
  }));
  // V8 compiles more of a process the longer it runs.
  await interleave(variants, 0, 1);
  return interleave(variants, 0, rounds);
}

function rowOf({ name }: Task, rounds: readonly Round<RevisionSample>[]): string[] {
  const ratio = (figure: keyof RevisionSample) =>
    withSpread(compare(rounds, figure, 'this', 'that').ratio, decimals(2));
  return [name, ratio('perSecond'), ratio('cpu'), count(median(valuesOf(rounds, 'perSecond', 'this')))];
}

new Command('npm run bench:revision --')
  .description('Compares the working tree with a revision: each writes and applies by turns, on the same servers.')
  .argument('<revision>', 'of git')
  .option('--ours <json>', 'options of `Counters.attach` for this build', '{}')
  .option('--theirs <json>', 'the same for the other build, which may have other names for them', '{}')
  .option('--rounds <number>', 'how often each task is measured', '7')
  .allowExcessArguments(false)
  .action(run)
  .parseAsync()
  .catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
