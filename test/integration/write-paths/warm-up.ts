import { Post, Song } from './entities/blog';
import { Product } from './entities/catalogue';
import { blog, catalogue } from './rows/seeds';
import type { Worlds } from './worlds';

/** Calls of each kind once: the first time, a script is sent whole. Opens as many connections as a write may use. */
export async function warmUp({ counted, settle }: Worlds): Promise<void> {
  const { dataSource, manager } = counted;
  const { author } = await blog(manager);
  await Promise.all([0, 1, 2].map(() => manager.insert(Post, { authorId: author.id })));
  const refused = dataSource.transaction((inner) => inner.insert(Song, { albumId: 0 }));
  await expect(refused).rejects.toThrow('violates foreign key constraint');
  const { product, other } = await catalogue(manager);
  await manager.update(Product, { id: product.id }, { categoryId: other.id });
  await settle();
}
