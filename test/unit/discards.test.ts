import { Discards } from '../../src/publish/discards';
import { until } from '../support/until';

/** A buffer that answers only when it is told to. */
class Buffer {
  answers = false;
  readonly done: string[] = [];
  attempts = 0;
  async discard(shard: number, id: string): Promise<void> {
    this.attempts += 1;
    if (!this.answers) throw new Error('no answer');
    this.done.push(`${shard} ${id}`);
  }
}

function open(limit?: number): { discards: Discards; buffer: Buffer } {
  const buffer = new Buffer();
  const options = { retry: 5 };
  return { buffer, discards: new Discards({ ...options, ...(limit === undefined ? {} : { limit }) }) };
}

describe('discards', () => {
  it('that are answered are not remembered', async () => {
    const { discards, buffer } = open();
    buffer.answers = true;
    await discards.send(buffer, 1, 'a');
    expect([discards.size, buffer.attempts]).toEqual([0, 1]);
    await discards.close();
  });

  it('that fail are sent again until the buffer answers', async () => {
    const { discards, buffer } = open();
    await Promise.all([discards.send(buffer, 1, 'a'), discards.send(buffer, 2, 'b')]);
    await until(() => buffer.attempts >= 6);
    buffer.answers = true;
    await until(() => discards.size === 0);
    expect(buffer.done.toSorted()).toEqual(['1 a', '2 b']);
    await discards.close();
  });

  it('are remembered up to a limit', async () => {
    const { discards, buffer } = open(3);
    for (let i = 0; i < 10; i++) await discards.send(buffer, 0, String(i));
    expect(discards.size).toBe(3);
    buffer.answers = true;
    await until(() => discards.size === 0);
    expect(buffer.done).toHaveLength(3);
    await discards.close();
  });

  it('are tried once more by close(), and never after it', async () => {
    const { discards, buffer } = open();
    await discards.send(buffer, 1, 'a');
    await discards.close();
    const { attempts } = buffer;
    expect(attempts).toBeGreaterThanOrEqual(2);
    await discards.send(buffer, 1, 'b');
    expect([discards.size, buffer.attempts]).toEqual([0, attempts + 1]);
  });
});
