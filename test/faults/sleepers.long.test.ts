import type { Mode } from 'typeorm-counter-cache';

import type { Fixture } from '../support/setup';
import { until } from '../support/until';
import type { When } from './matrix/place';
import { type Group, POINTS } from './matrix/points';
import { isQuiet } from './matrix/quiet';
import { type Case, setStage } from './matrix/stage';
import { wrongTargets } from './matrix/truth';
import { runVictim, wakeVictim } from './matrix/victim';
import { write } from './matrix/workload';

/** A lease of somebody asleep ends after 10 s, and so does a transaction of the library. */
const PATIENCE = 50_000;

/** How often it is looked at, ms. */
const INTERVAL = 50;

type Condition = (fixture: Fixture) => Promise<boolean>;

/** Others have done everything meanwhile. */
const takenOver: Condition = (fixture) => isQuiet(fixture, true);

/** What it had announced is given up, and cannot be recounted before its transaction is over. */
const swept: Condition = async ({ counters }) => {
  const { intents, recalculations } = await counters.status();
  return intents === 0 && recalculations > 0;
};

const SLEEPERS: readonly [Mode, Group, When, string, Condition][] = [
  ['buffered', 'hand-off', 'after', 'announce', swept],
  ['buffered', 'hand-off', 'before', 'confirm', takenOver],
  ['buffered', 'reconcile', 'after', 'claim', takenOver],
  ['buffered', 'reconcile', 'before', 'COMMIT', takenOver],
  ['buffered', 'reconcile', 'before', 'acknowledge', takenOver],
  ['outbox', 'recalculation', 'before', 'finalize', takenOver],
  ['buffered', 'recalculation', 'before', 'finalize', takenOver],
  ['buffered', 'sweep', 'after', 'stale batch found', takenOver],
  ['buffered', 'sweep', 'before', 'stale intent swept', takenOver],
  ['buffered', 'lost shard', 'before', 'epoch raised', takenOver],
  ['buffered', 'lost shard', 'before', 'page requested', takenOver],
];

function caseOf(mode: Mode, group: Group, when: When, name: string): Case {
  const point = POINTS.find((one) => one.group === group && one.name === name);
  if (point === undefined) throw new Error('there is no such point');
  return { point, when, mode };
}

// At once, because most of the time is spent waiting.
test.concurrent.each(SLEEPERS)(
  'I3, I6, %s: a process that falls asleep in the %s, %s %s, and wakes up when others have gone on, changes nothing',
  async (mode, group, when, name, condition) => {
    const { fixture, orders } = await setStage(caseOf(mode, group, when, name), 'SIGSTOP');
    const { dataSource, counters } = fixture;
    const sleeper = await runVictim(orders);
    try {
      await write(dataSource, 2);
      await counters.settled();
      await counters.startWorker();
      await until(() => condition(fixture), PATIENCE, INTERVAL);
      await write(dataSource, 3);
      await wakeVictim(sleeper);
      await counters.settled();
      await until(() => isQuiet(fixture), PATIENCE, INTERVAL);
      expect(await wrongTargets(dataSource)).toEqual([]);
      expect(await counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
    } finally {
      sleeper.kill('SIGKILL');
      await fixture.close();
    }
  },
  90_000,
);
