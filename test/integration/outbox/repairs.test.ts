import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache, InProcessScheduler } from 'typeorm-counter-cache';
import { MemoryBuffer } from '../../../src/engines/buffered/memory/memory-buffer';

import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { waitingRows } from './outbox';

/** Its key is chosen by the application: one that appears may have sources already. */
@Entity()
class Tag {
  @PrimaryColumn() name!: string;
  @Column({ default: 0 }) usesCount!: number;
}

@Entity()
@CounterCache<Use, Tag>({ relation: 'tag', column: 'usesCount' })
class Use {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ nullable: true, type: 'text' }) tagName!: string | null;
  @ManyToOne(() => Tag, { createForeignKeyConstraints: false })
  @JoinColumn({ name: 'tagName' })
  tag!: Relation<Tag> | null;
}

/** Answers a request only after it has thrown once, the request made. */
class FlakyBuffer extends MemoryBuffer {
  failures = 0;

  override async requestRepair(
    ...args: Parameters<MemoryBuffer['requestRepair']>
  ): ReturnType<MemoryBuffer['requestRepair']> {
    const wakeUps = await super.requestRepair(...args);
    if (this.failures-- > 0) throw new Error('no answer');
    return wakeUps;
  }
}

let fixture: Fixture;
let buffer: FlakyBuffer;

beforeEach(async () => {
  buffer = new FlakyBuffer({ window: 5 });
  fixture = await setup({
    entities: [Tag, Use],
    counters: { mode: 'outbox', wait: 5, window: 5, buffer, scheduler: new InProcessScheduler() },
  });
});
afterEach(() => fixture.close());

const usesOf = async (name: string): Promise<number> =>
  (await fixture.dataSource.manager.findOneByOrFail(Tag, { name })).usesCount;

async function untilCounted(name: string, uses: number): Promise<void> {
  await until(async () => (await usesOf(name)) === uses && (await waitingRows(fixture)) === 0);
  expect(await fixture.counters.verify()).toMatchObject({ fixedCount: 0, unsettled: [] });
}

describe('targets that appear, vanish or change their key', () => {
  test('one that appears counts the sources that were there before', async () => {
    const { manager } = fixture.dataSource;
    await manager.insert(Use, [{ tagName: 'a' }, { tagName: 'a' }]);
    await fixture.counters.flush();
    expect(await waitingRows(fixture)).toBe(0);
    await fixture.counters.startWorker();
    await manager.insert(Tag, { name: 'a' });
    await untilCounted('a', 2);
    expect(fixture.errors).toEqual([]);
  });

  test('what waited for one that vanished does not land on the next of that name', async () => {
    const { manager } = fixture.dataSource;
    await manager.insert(Tag, { name: 'a' });
    await manager.insert(Use, [{ tagName: 'a' }, { tagName: 'a' }, { tagName: 'a' }]);
    await manager.delete(Tag, { name: 'a' });
    await fixture.dataSource.query('DELETE FROM use WHERE id IN (SELECT id FROM use LIMIT 1)');
    await manager.insert(Tag, { name: 'a' });
    await fixture.counters.startWorker();
    await untilCounted('a', 2);
    expect(fixture.errors).toEqual([]);
  });

  test('a change of key moves what is counted', async () => {
    const { manager } = fixture.dataSource;
    await fixture.counters.startWorker();
    await manager.insert(Tag, { name: 'a' });
    await manager.insert(Use, [{ tagName: 'a' }, { tagName: 'b' }, { tagName: 'b' }]);
    await manager.update(Tag, { name: 'a' }, { name: 'b' });
    await untilCounted('b', 2);
    expect(fixture.errors).toEqual([]);
  });

  test('a request whose answer is lost is made again, and keeps no delta from being applied', async () => {
    const { manager } = fixture.dataSource;
    await fixture.dataSource.transaction(async (own) => {
      await own.insert(Tag, { name: 'a' });
      await own.insert(Use, [{ tagName: 'a' }, { tagName: 'a' }]);
    });
    buffer.failures = 1;
    await expect(fixture.counters.flush()).rejects.toThrow('no answer');
    expect(await usesOf('a')).toBe(2);
    expect(await waitingRows(fixture)).toBe(1);
    await fixture.counters.startWorker();
    await untilCounted('a', 2);
    expect(await manager.count(Use)).toBe(2);
    expect(fixture.errors).toEqual([]);
  });
});
