import { type EntityManager, LessThan, Not } from 'typeorm';

import { type Random, replayable } from '../../contract/buffer/random';
import { answerAs, VERSIONS } from '../shapes/truth';
import { Comment, Post, Reader, setupWriters, Writer, type Writers } from './writers';

const ROUNDS = 25;
const STATUSES = ['a', 'b', 'c'];

let writers: Writers;
let people: Writer[];
let reader: Reader;

beforeAll(async () => {
  writers = await setupWriters();
  const { manager } = writers.dataSource;
  reader = await manager.save(manager.create(Reader));
});
beforeEach(async () => {
  const { manager } = writers.dataSource;
  people = await manager.save([1, 2, 3].map(() => manager.create(Writer)));
});
afterEach(() => expect(writers.errors).toEqual([]));
afterAll(() => writers.close());

const expectExact = (): Promise<void> => writers.expectExact();

type Op = (manager: EntityManager, random: Random, scope: Scope) => Promise<unknown>;

/** What raw SQL may change: the outermost tracked work looks at it. */
interface Scope {
  readonly depth: number;
  readonly status: string | null;
}

const someone = (random: Random): Writer => random.pick(people);
const rawWhere = ({ status }: Scope): string => (status === null ? 'TRUE' : `status = '${status}'`);
const oneOf = (scope: Scope): string =>
  `id = (SELECT id FROM post WHERE ${rawWhere(scope)} ORDER BY md5(id::text) LIMIT 1)`;
const valueOf = (random: Random, { status }: Scope): string =>
  random.pick([
    `likes = likes + ${random.below(5)}`,
    `status = '${status ?? random.pick(STATUSES)}'`,
    `"writerId" = ${someone(random).id}`,
    `"deletedAt" = CASE WHEN "deletedAt" IS NULL THEN now() END`,
  ]);

// Rows with negative ids were there before the work. Whether the outermost work made a row that was captured later and
// is gone by its end, nothing tells: such rows are recounted.
const RAW: readonly Op[] = [
  (manager, random, { status }) =>
    manager.query(
      `INSERT INTO post (status, likes, "writerId") SELECT $1, $2, $3 FROM generate_series(1, ${1 + random.below(3)})`,
      [status ?? random.pick(STATUSES), random.below(9), someone(random).id],
    ),
  (manager, random, scope) => manager.query(`UPDATE post SET ${valueOf(random, scope)} WHERE ${oneOf(scope)}`),
  (manager, random, scope) => manager.query(`UPDATE post SET ${valueOf(random, scope)} WHERE ${rawWhere(scope)}`),
  (manager, _, scope) => manager.query(`DELETE FROM post WHERE id < 0 AND ${oneOf(scope)}`),
  (manager, _, scope) => manager.query(`UPDATE post SET id = 1000000 - id WHERE id < 0 AND ${oneOf(scope)}`),
];

const CAPTURED: readonly Op[] = [
  (manager, random) =>
    manager.insert(Post, { status: random.pick(STATUSES), likes: random.below(9), writer: someone(random) }),
  (manager, random) =>
    manager.update(Post, { status: random.pick(STATUSES) }, { writer: someone(random), likes: random.below(9) }),
  (manager, random) => manager.increment(Post, { writer: { id: someone(random).id } }, 'likes', 1),
  (manager, random) => manager.softDelete(Post, { status: random.pick(STATUSES) }),
  (manager, random) => manager.restore(Post, { status: random.pick(STATUSES) }),
  (manager, random) => manager.delete(Post, { id: LessThan(0), status: random.pick(STATUSES), likes: random.below(9) }),
  async (manager, random) => {
    const post = await manager.findOne(Post, { where: { id: LessThan(0) }, order: { id: 'ASC' } });
    if (post === null) return;
    await manager.update(Post, { id: post.id }, { id: 500_000 - post.id });
    await manager.upsert(Post, { id: post.id, status: post.status, writer: someone(random) }, ['id']);
  },
];

/** Does what is random; now and then in a savepoint, or tracked, and now and then in vain. */
async function act(manager: EntityManager, random: Random, scope: Scope): Promise<void> {
  for (let left = 1 + random.below(5); left > 0; left--) {
    const isNested = scope.depth < 3 && random.chance(0.3);
    if (!isNested) await random.pick(random.chance(0.5) ? RAW : CAPTURED)(manager, random, scope);
    else await nested(manager, random, { ...scope, depth: scope.depth + 1 });
  }
}

async function nested(manager: EntityManager, random: Random, scope: Scope): Promise<void> {
  const fails = random.chance(0.3);
  const work = async (own: EntityManager): Promise<void> => {
    await act(own, random, scope);
    if (fails) throw new Error('in vain');
  };
  const where = random.pick([{}, { status: random.pick(STATUSES) }, { writer: { id: someone(random).id } }]);
  const done = random.chance(0.5)
    ? manager.transaction(work)
    : writers.counters.track(manager, Post, where, work).then(() => undefined);
  await done.catch((error: Error) => {
    if (error.message !== 'in vain') throw error;
  });
}

test.each(VERSIONS)('counters.track counts what raw SQL and TypeORM do in turns, PostgreSQL %s', (version) =>
  replayable(0, async (random) => {
    answerAs(writers, version);
    for (let round = 0; round < ROUNDS; round++) {
      await writers.dataSource.query('UPDATE post SET id = -id WHERE id > 0');
      const status = random.chance(0.5) ? null : random.pick(STATUSES);
      await writers.counters.track(writers.dataSource.manager, Post, status === null ? {} : { status }, (own) =>
        act(own, random, { depth: 0, status }),
      );
      await expectExact();
    }
  }),
);

const BELOW: readonly Op[] = [
  (manager, random) => manager.query('DELETE FROM writer WHERE id = $1', [someone(random).id]),
  (manager, random) => manager.delete(Writer, { id: someone(random).id }),
  async (manager, random) => {
    const [writer] = await manager.find(Writer, { order: { id: random.pick(['ASC', 'DESC'] as const) }, take: 1 });
    if (writer === undefined) return;
    const [sequelOf = null] = await manager.find(Post, { order: { id: 'DESC' }, take: 1 });
    const post = await manager.save(manager.create(Post, { writer, sequelOf: random.chance(0.5) ? sequelOf : null }));
    await manager.insert(Comment, [
      { post, reader },
      { post, reader },
    ]);
  },
  (manager) => manager.query('DELETE FROM comment WHERE id = (SELECT min(id) FROM comment)'),
];

test.each(VERSIONS)('counters.track of targets counts what goes with them, PostgreSQL %s', (version) =>
  replayable(1, async (random) => {
    answerAs(writers, version);
    const { manager } = writers.dataSource;
    for (let round = 0; round < ROUNDS; round++) {
      await manager.delete(Post, { id: Not(0) });
      people = await manager.save([1, 2, 3].map(() => manager.create(Writer)));
      for (let i = 0; i < 4; i++) {
        const post = await manager.save(manager.create(Post, { writer: someone(random) }));
        await manager.insert(Comment, { post, reader });
      }
      await writers.counters.track(manager, Writer, {}, async (own) => {
        for (let left = random.below(6); left > 0; left--)
          await random.pick(BELOW)(own, random, { depth: 0, status: null });
      });
      await expectExact();
    }
  }),
);
