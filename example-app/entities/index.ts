import { Comment } from './comment';
import { Follow } from './follow';
import { Movie } from './movie';
import { Post } from './post';
import { Product } from './product';
import { Rating } from './rating';
import { Review } from './review';
import { Store } from './store';
import { User } from './user';

export { Comment, Follow, Movie, Post, Product, Rating, Review, Store, User };

/** Every entity of the service. */
export const ENTITIES = [Comment, Follow, Movie, Post, Product, Rating, Review, Store, User];
