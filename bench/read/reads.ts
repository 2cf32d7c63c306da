import { median } from '../statistics';
import type { Variant } from '../rounds';
import { Author, PlainAuthor, Post } from './entities';
import { FAMILIES, PENDING_AUTHOR, pendingAuthors, quietAuthors, type World } from './world';

/** A way to learn how many children a row has. */
export interface Read {
  readonly name: string;
  /** Calls of one batch. */
  readonly calls: number;
  /** What it has to answer, so that nothing else is measured. */
  readonly expected: number;
  readonly call: () => Promise<number>;
}

const CALLS = 50;
const FEW_CALLS = 5;

/** The first calls of a batch are not timed: the processor's caches still hold what ran before. */
const UNTIMED = 3;

/** What the others are compared with: the row without its counter. */
export const BASE = 'findOneBy() of the row without a counter';

/** Every way that is compared. */
export function readsOf(world: World): Read[] {
  return [...rowReads(world), ...countReads(world), ...counterReads(world)];
}

const [SMALL] = FAMILIES;

function rowReads({ dataSource: { manager } }: World): Read[] {
  const { id, children } = SMALL;
  return [
    {
      name: BASE,
      calls: CALLS,
      expected: id,
      call: async () => (await manager.findOneByOrFail(PlainAuthor, { id })).id,
    },
    {
      name: 'findOneBy() of the row with its counter',
      calls: CALLS,
      expected: children,
      call: async () => (await manager.findOneByOrFail(Author, { id })).postsCount,
    },
    {
      name: 'SELECT of the counter alone',
      calls: CALLS,
      expected: children,
      call: () => firstNumber(manager.query('SELECT "postsCount" AS n FROM author WHERE id = $1', [id])),
    },
  ];
}

function countReads({ dataSource: { manager } }: World): Read[] {
  return [
    ...FAMILIES.map(({ id, children, calls }) => ({
      name: `COUNT(*) of ${children.toLocaleString('en')} children`,
      calls,
      expected: children,
      call: () => firstNumber(manager.query('SELECT count(*) AS n FROM post WHERE "authorId" = $1', [id])),
    })),
    {
      name: `countBy() of ${SMALL.children} children`,
      calls: CALLS,
      expected: SMALL.children,
      call: () => manager.countBy(Post, { authorId: SMALL.id }),
    },
  ];
}

function counterReads({ counters }: World): Read[] {
  const one = (state: string, id: number, expected: number): Read => ({
    name: `counters.read() of one row, ${state}`,
    calls: CALLS,
    expected,
    call: async () => Number(await counters.read(Author, id, 'postsCount')),
  });
  const many = (state: string, ids: readonly number[], expected: number): Read => ({
    name: `counters.read() of ${ids.length.toLocaleString('en')} rows, ${state}`,
    calls: FEW_CALLS,
    expected,
    call: async () => sum((await counters.read(Author, ids, 'postsCount')).values()),
  });
  return [
    one('nothing pending', SMALL.id, SMALL.children),
    one('deltas pending', PENDING_AUTHOR, 1),
    many('nothing pending', quietAuthors(), 0),
    many('deltas pending', pendingAuthors(), pendingAuthors().length),
  ];
}

function sum(values: Iterable<number | string | null>): number {
  return [...values].reduce<number>((total, value) => total + Number(value), 0);
}

async function firstNumber(rows: Promise<unknown>): Promise<number> {
  const [row] = (await rows) as { readonly n: number | string }[];
  return Number(row?.n);
}

/** Microseconds per call: the median of a batch. */
export type Figures = { readonly wall: number };

/** A read under measurement. */
export class TimedRead implements Variant<Figures> {
  readonly name: string;
  readonly #read: Read;
  /** Microseconds of every call. */
  readonly times: number[] = [];

  constructor(read: Read) {
    this.name = read.name;
    this.#read = read;
  }

  async sample(): Promise<Figures> {
    const { calls, call, expected } = this.#read;
    const walls: number[] = [];
    const untimed = calls < CALLS ? 1 : UNTIMED;
    for (let i = 0; i < untimed + calls; i++) {
      const began = performance.now();
      const value = await call();
      if (i >= untimed) walls.push((performance.now() - began) * 1_000);
      if (value !== expected) throw new Error(`${this.name}: expected ${expected}, got: ${value}`);
    }
    this.times.push(...walls);
    return { wall: median(walls) };
  }
}
