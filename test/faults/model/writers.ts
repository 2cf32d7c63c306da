import { announce, confirm, discard, requestRepair, type Amounts } from './calls';
import { type Actor, crash, type Step, type World } from './scenario';
import { type Errand, plus, type State, type Writer } from './state';

/** Distinct per writer, so that what is lost is never made up by what is counted twice. */
function amountsOf(i: number, { scenario }: World): Amounts {
  return [2 ** i, 10 * 2 ** i].slice(0, scenario.columns);
}

/** Transactions that add to the target: write, announce, COMMIT or ROLLBACK, confirm or discard. */
export const writers: Actor = (state, world) => state.writers.flatMap((_, i) => stepsOf(state, world, i));

function stepsOf(state: State, world: World, i: number): Step[] {
  const writer = state.writers[i];
  if (writer === undefined) return [];
  switch (writer.at) {
    case 'start':
      return begin(state, world, i);
    case 'open':
      return [...handOver(writer, world, i), ...die(state, writer, i)];
    case 'ready':
      return [...end(world, i), ...die(state, writer, i)];
    case 'ended':
      return [
        ...writer.errands.flatMap((errand) => run(writer, errand, world, i)),
        ...(writer.errands.length > 0 ? die(state, writer, i) : []),
        ...arrive(writer, world, i),
      ];
  }
}

function step(i: number, what: string, change: (writer: Writer, state: State) => void, call?: Step['call']): Step {
  return {
    name: `t${i + 1} ${what}`,
    ...(call && { call }),
    change: (state) => change(state.writers[i] as Writer, state),
  };
}

/** In the order of their numbers: they differ in nothing but their amounts. */
function begin(state: State, world: World, i: number): Step[] {
  if (i > 0 && state.writers[i - 1]?.at === 'start') return [];
  const write = step(i, 'writes', (writer, next) => {
    writer.id = world.nextTransaction(next);
    writer.at = 'open';
  });
  return [write];
}

function handOver({ id }: Writer, world: World, i: number): Step[] {
  const { outages, memory, scheduled } = world.scenario;
  const call = announce(id, amountsOf(i, world), scheduled ? 0 : null);
  const to =
    (via: Writer['via'], late: Writer['late'] = null) =>
    (writer: Writer) => {
      Object.assign(writer, { at: 'ready', via, late });
    };
  const vias: Writer['via'][] = memory ? ['outbox', 'memory'] : ['outbox'];
  const fallbacks = vias.flatMap((via) => [
    step(i, `cannot announce, falls back to ${via}`, to(via)),
    step(i, `announces, the answer is lost, falls back to ${via}`, to(via), call),
    step(i, `announces, which arrives late, falls back to ${via}`, to(via, 'announce')),
  ]);
  return [step(i, 'announces', to('redis'), call), ...(outages ? fallbacks : [])];
}

const AFTER_COMMIT: Record<Writer['via'], readonly Errand[]> = {
  nothing: [],
  redis: ['confirm'],
  outbox: ['discard'],
  memory: ['discard', 'request'],
};

function errandsOf(via: Writer['via'], { scenario: { without } }: World): Errand[] {
  if (without === 'failed announcements' && via !== 'nothing') return ['confirm'];
  return AFTER_COMMIT[via].filter((errand) => without !== 'request from memory' || errand !== 'request');
}

function end(world: World, i: number): Step[] {
  const commit = step(i, 'commits', (writer, { sql }) => {
    const amounts = amountsOf(i, world);
    sql.truth = plus(sql.truth, amounts);
    if (writer.via === 'outbox') sql.waiting = plus(sql.waiting ?? amounts.map(() => 0), amounts);
    writer.at = 'ended';
    writer.errands = errandsOf(writer.via, world);
  });
  const rollBack = step(i, 'rolls back', (writer) => {
    writer.at = 'ended';
    writer.errands = ['discard'];
  });
  return [commit, rollBack];
}

function run({ id, errands }: Writer, errand: Errand, world: World, i: number): Step[] {
  const { outages } = world.scenario;
  const then = (...more: Errand[]) => ({
    errands: [...errands.filter((other) => other !== errand), ...more.filter((other) => !errands.includes(other))],
  });
  const become = (what: string, changes: Partial<Writer>, call?: Step['call']) =>
    step(i, what, (writer) => void Object.assign(writer, changes), call);
  switch (errand) {
    case 'confirm': {
      const ask = then('request');
      const ordinary: Step = {
        name: `t${i + 1} confirms`,
        call: confirm(id),
        change: (state, found) => void Object.assign(state.writers[i] as Writer, found === true ? then() : ask),
      };
      const failing = [
        become('cannot confirm', ask),
        become('confirms, the answer is lost', ask, confirm(id)),
        become('confirms, which arrives late', { ...ask, late: 'confirm' }),
      ];
      return [ordinary, ...(outages ? failing : [])];
    }
    case 'discard':
      return [become('discards', then(), discard(id)), ...(outages ? [become('cannot discard', then())] : [])];
    case 'request':
      return [become('requests', then(), requestRepair(0))];
  }
}

function arrive({ id, late }: Writer, world: World, i: number): Step[] {
  const done = (writer: Writer) => {
    writer.late = null;
  };
  if (late === 'announce') {
    const call = announce(id, amountsOf(i, world), world.scenario.scheduled ? 0 : null);
    return [step(i, 'has its announcement arrive', done, call)];
  }
  return late === 'confirm' ? [step(i, 'has its confirm arrive', done, confirm(id))] : [];
}

/** Where nothing but memory knows of a committed delta, a crash loses it until somebody asks: documented. */
function die({ left }: State, { at, via }: Writer, i: number): Step[] {
  if (left.crashes === 0 || (at === 'ended' && via === 'memory')) return [];
  const leave = (state: State): void => void Object.assign(state.writers[i] as Writer, { at: 'ended', errands: [] });
  return [crash(`t${i + 1} dies`, leave)];
}
