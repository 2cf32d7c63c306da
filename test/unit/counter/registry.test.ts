import { blog, definitionsOf } from './blog';
import { defineCounterCache } from '../../../src/counter/decorator';

describe('smoke', () => {
  it('resolves', async () => {
    const { Post, User, entities } = blog();
    defineCounterCache(Post, { relation: 'author', column: 'postsCount' });
    const d = await definitionsOf(entities);
    console.dir(d.counters[0], { depth: 2 });
    expect(User).toBeDefined();
  });
});
