import { setup, type Fixture } from '../support/setup';
import { until } from '../support/until';
import { describeVersions } from '../support/versions';
import { Author, Post } from './blog';
import { wrongAuthors } from './outbox/outbox';

/** As many tables have one: it sets `updated_at`, or nothing at all. */
const TRIGGER = `
  CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
  CREATE TRIGGER touched BEFORE UPDATE ON post FOR EACH ROW`;

const TRIGGERS = [
  ['no trigger', ''],
  ['a BEFORE UPDATE trigger', `${TRIGGER} EXECUTE FUNCTION touched()`],
  ['one whose condition is not met', `${TRIGGER} WHEN (NEW.likes = -1) EXECUTE FUNCTION touched()`],
] as const;

/** With such a trigger, an 18 returns the row as it was when the UPDATE began to wait, in place of what it changed. */
describeVersions('I1: an UPDATE that waits for another transaction to change its row', (server) => {
  describe.each(TRIGGERS)('%s', (_name, trigger) => {
    let fixture: Fixture;
    let ids: readonly [number, number];
    let postId: number;

    beforeAll(async () => {
      fixture = await setup({ entities: [Author, Post], server: server() });
      if (trigger !== '') await fixture.dataSource.query(trigger);
    });
    beforeEach(async () => {
      const { manager } = fixture.dataSource;
      const [one, two] = await manager.save(Author, [{ name: 'one' }, { name: 'two' }]);
      ids = [one?.id ?? 0, two?.id ?? 0];
      ({ id: postId } = await manager.save(Post, { authorId: ids[0], likes: 3, published: true }));
    });
    afterAll(() => fixture.close());

    /** Has another transaction move the post while a statement waits for it. */
    async function meanwhile(statement: () => Promise<unknown>): Promise<void> {
      const runner = fixture.dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.manager.update(Post, { id: postId }, { authorId: ids[1], likes: 5 });
      const waiting = statement();
      await until(isWaiting);
      await runner.commitTransaction();
      await runner.release();
      await waiting;
    }

    async function isWaiting(): Promise<boolean> {
      const sql = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      const rows: unknown[] = await fixture.dataSource.query(sql);
      return rows.length > 0;
    }

    const statements: Readonly<Record<string, () => Promise<unknown>>> = {
      'of its amount': () => fixture.dataSource.manager.update(Post, { id: postId }, { likes: 7 }),
      'of its condition': () => fixture.dataSource.manager.update(Post, { id: postId }, { published: false }),
      'of its target': () => fixture.dataSource.manager.update(Post, { id: postId }, { authorId: ids[0] }),
      'by an SQL function': () => fixture.dataSource.manager.increment(Post, { id: postId }, 'likes', 1),
    };

    test.each(Object.keys(statements))('%s', async (name) => {
      await meanwhile(async () => statements[name]?.());
      await fixture.counters.flush();
      expect(await wrongAuthors(fixture)).toEqual([]);
      expect(fixture.errors).toEqual([]);
    });
  });
});
