import type { Intent } from '../../../src/engines/buffered/buffer';
import { Counters, InProcessScheduler } from 'typeorm-counter-cache';
import { MemoryBuffer } from '../../../src/engines/buffered/memory/memory-buffer';

import { type Fixture, setup } from '../../support/setup';
import { until } from '../../support/until';
import { Author, Post } from '../blog';
import { waitingRows, wrongAuthors } from '../outbox/outbox';

/** Its first announcement is not answered until `fail()`, and fails then; what `beside` returns is awaited by the others. */
class StallingBuffer extends MemoryBuffer {
  announced = 0;
  fail: () => void = () => undefined;
  beside: () => Promise<unknown> = async () => undefined;

  override async announce(shard: number, intent: Intent): Promise<void> {
    this.announced += 1;
    if (this.announced === 1)
      return new Promise<void>((_, reject) => (this.fail = () => reject(new Error('no answer in time'))));
    await super.announce(shard, intent);
    this.fail();
    await this.beside();
  }
}

describe('close() while a COMMIT is held up by its hand-over', () => {
  let fixture: Fixture;
  const buffer = new StallingBuffer({ window: 10 });
  const counters = { buffer, scheduler: new InProcessScheduler({ onError: () => undefined }) };

  beforeAll(async () => {
    fixture = await setup({ entities: [Author, Post], counters });
  });
  afterAll(() => fixture.close({ leakCheck: false }));

  test('hands the deltas over once, not a second time beside it', async () => {
    const { dataSource } = fixture;
    const { id } = await dataSource.manager.save(Author, { name: 'a' });
    const written = dataSource.manager.insert(Post, { authorId: id });
    buffer.beside = () => written;
    await until(() => buffer.announced === 1);
    await fixture.counters.close();
    buffer.fail();
    await written;
    expect(await waitingRows(fixture)).toBe(1);
    const again = await Counters.attach(dataSource, counters);
    await again.flush();
    expect(await wrongAuthors(fixture)).toEqual([]);
    await again.close();
  });
});
