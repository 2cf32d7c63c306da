import type { EntityManager } from 'typeorm';

import { Author, Post } from '../entities/blog';
import { Category, Comment, Product, Review } from '../entities/catalogue';
import { Forum, Member, Reply, Topic } from '../entities/forum';
import { City, Continent, Country, Region, Shop } from '../entities/places';

/** An author with posts, and another without. */
export async function blog(manager: EntityManager, posts: readonly Partial<Post>[] = [{}]): Promise<Blog> {
  return manager.transaction(async (inner) => {
    const author = await inner.save(inner.create(Author));
    const other = await inner.save(inner.create(Author));
    const rows = posts.map((post) => Object.assign(inner.create(Post, { authorId: author.id, likes: 1 }), post));
    const saved = await inner.save(rows);
    const [post = new Post()] = saved;
    return { author, other, post, posts: saved };
  });
}

export interface Blog {
  readonly author: Author;
  readonly other: Author;
  /** The first one. */
  readonly post: Post;
  readonly posts: Post[];
}

/** A forum of two topics with two replies each, by one member. */
export async function forum(manager: EntityManager): Promise<{ forum: Forum; topic: Topic; member: Member }> {
  return manager.transaction(async (inner) => {
    const home = await inner.save(inner.create(Forum));
    const member = await inner.save(inner.create(Member));
    const topics = await inner.save([0, 1].map(() => inner.create(Topic, { forum: home })));
    await inner.save(topics.flatMap((topic) => [0, 1].map(() => inner.create(Reply, { topic, member }))));
    const [topic = new Topic()] = topics;
    return { forum: home, topic, member };
  });
}

export interface Catalogue {
  readonly category: Category;
  readonly other: Category;
  readonly product: Product;
  readonly review: Review;
  readonly comment: Comment;
}

/** A comment of a review of a product in a category, and another category. */
export async function catalogue(manager: EntityManager): Promise<Catalogue> {
  return manager.transaction(async (inner) => {
    const category = await inner.save(inner.create(Category));
    const other = await inner.save(inner.create(Category));
    const product = await inner.save(inner.create(Product, { categoryId: category.id }));
    const review = await inner.save(inner.create(Review, { productId: product.id }));
    const comment = await inner.save(inner.create(Comment, { reviewId: review.id }));
    return { category, other, product, review, comment };
  });
}

/** A region with two shops, and the region of those that have none. */
export async function regions(manager: EntityManager): Promise<void> {
  await manager.insert(Region, [{ code: 'nowhere' }, { code: 'a' }]);
  await manager.insert(Shop, [{ regionCode: 'a' }, { regionCode: 'a' }]);
}

/** A country with a city on a continent. */
export async function country(manager: EntityManager): Promise<void> {
  const continent = await manager.save(manager.create(Continent));
  await manager.insert(Country, { code: 'old' });
  await manager.insert(City, { countryCode: 'old', continent });
}
