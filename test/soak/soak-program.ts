// One process of the soak: a writer with several clients, or a worker. It goes on until it is killed, or told to stop.
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';

import type { DataSource } from 'typeorm';
import { Counters } from 'typeorm-counter-cache';

import { note } from '../faults/load/journal';
import { LEAGUE } from '../faults/load/league';
import { Random } from '../integration/oracle/random';
import { redisUrl } from '../support/redis';
import { newDataSource } from '../support/setup';
import type { Report } from './report';
import { QUERY_TIMEOUT, SOAK, SOAK_OPTIONS } from './settings';
import { SlowWriter } from './slow-writer';

const { PROGRAM_DATABASE = '', PROGRAM_ROLE, PROGRAM_NAME = '', PROGRAM_SEED, PROGRAM_JOURNAL = '' } = process.env;

const CLIENTS = 3;

/** How long a process tries to reach servers that are being restarted, ms. */
const PATIENCE = 60_000;

/** Between two reports, ms. */
const REPORT_EVERY = 1_000;

const outcomes: Record<string, number> = {};
const odd: Record<string, number> = {};
const events: Record<string, number> = {};

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

function say(text: string): void {
  note(PROGRAM_JOURNAL, PROGRAM_NAME, text);
}

function tell(report: Report): void {
  if (process.connected) process.send?.(report, () => undefined);
}

/** What is still referred to, after everything else is gone. */
async function tellMemory(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await nextTurn();
  }
  const { heapUsed, rss } = process.memoryUsage();
  tell({ kind: 'memory', heap: heapUsed, resident: rss });
}

function listen(counters: Counters): void {
  counters
    .on('error', (error) => {
      count(events, `error ${(error as { code?: string }).code ?? (error as Error).name}`);
      say(`error ${String(error)}`);
    })
    .on('failed', ({ entity, id, reason }) => {
      count(events, 'failed');
      say(`failed ${entity} ${id}: ${reason}`);
    })
    .on('degraded', () => count(events, 'degraded'))
    .on('recovered', () => count(events, 'recovered'))
    .on('drift', ({ drifts }) => {
      count(events, 'drift');
      say(`drift ${JSON.stringify(drifts)}`);
    });
}

/** Servers may be on their way back when a process starts. */
async function connect(): Promise<{ dataSource: DataSource; counters: Counters }> {
  const end = performance.now() + PATIENCE;
  const extra = PROGRAM_ROLE === 'writer' ? { query_timeout: QUERY_TIMEOUT } : {};
  for (;;) {
    const dataSource = newDataSource(PROGRAM_DATABASE, LEAGUE, { synchronize: false, poolSize: 6, extra });
    let counters: Counters | null = null;
    try {
      counters = await Counters.attach(dataSource, { redis: redisUrl(), ...SOAK_OPTIONS });
      listen(counters);
      await dataSource.initialize();
      return { dataSource, counters };
    } catch (error) {
      say(`cannot start: ${String(error)}`);
      await counters?.close().catch(() => undefined);
      if (performance.now() > end) throw error;
      await delay(200);
    }
  }
}

async function client(dataSource: DataSource, number: number, isStopped: () => boolean): Promise<void> {
  const random = new Random(Number(PROGRAM_SEED) + number);
  const isJournal = process.env['SOAK_JOURNAL'] !== undefined;
  const { timeouts, targets } = SOAK;
  const journal = isJournal ? (text: string) => say(`${number} ${text}`) : () => undefined;
  const writer = new SlowWriter(dataSource, random, { timeouts, targets, note: journal });
  let isOpen = false;
  while (!isStopped()) {
    try {
      if (!isOpen) await writer.open();
      isOpen = true;
      const outcome = await writer.write();
      count(outcomes, outcome);
      journal(outcome);
      // The servers need a moment, and so do other clients.
      if (outcome === 'connection lost') await delay(50);
    } catch (error) {
      const { name, message } = error as Error;
      count(odd, `${name}: ${message.slice(0, 160)}`);
      say(`odd ${error instanceof Error ? error.stack : String(error)}`);
      await delay(50);
    }
  }
}

/** A worker that cannot start yet tries again, as whoever runs it would. */
async function work(counters: Counters, isStopped: () => boolean): Promise<void> {
  while (!isStopped()) {
    try {
      await counters.startWorker();
      return;
    } catch (error) {
      say(`worker cannot start: ${String(error)}`);
      await delay(200);
    }
  }
}

async function main(): Promise<void> {
  let stopped = false;
  let give = (): void => undefined;
  const stop = new Promise<void>((resolve) => (give = resolve));
  process.on('message', (message) => {
    if (message === 'memory') void tellMemory();
    else {
      stopped = true;
      give();
    }
  });
  // Nobody is left to write for.
  process.once('disconnect', () => process.exit(2));
  const isStopped = (): boolean => stopped;
  const { dataSource, counters } = await connect();
  const timer = setInterval(() => tell({ kind: 'work', outcomes, odd, events }), REPORT_EVERY);
  if (PROGRAM_ROLE === 'worker') await work(counters, isStopped).then(() => stop);
  else await Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(dataSource, i, isStopped)));
  await counters.close();
  await dataSource.destroy();
  clearInterval(timer);
  tell({ kind: 'work', outcomes, odd, events });
  process.removeAllListeners('disconnect');
  process.disconnect();
}

main().catch((error: unknown) => {
  say(`FAILED ${error instanceof Error ? error.stack : String(error)}`);
  process.exit(1);
});
