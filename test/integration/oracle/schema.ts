import {
  Column,
  DeleteDateColumn,
  Entity,
  In,
  IsNull,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  MoreThan,
  Not,
  OneToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type Relation,
  VersionColumn,
} from 'typeorm';
import { CounterCache, type NumericText } from 'typeorm-counter-cache';

@Entity()
export class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ type: 'text', nullable: true, unique: true }) email!: string | null;
  @VersionColumn() version!: number;
  @Column({ default: 0 }) postsCount!: number;
  @Column({ default: 0 }) everPostsCount!: number;
  @Column({ default: 0 }) publishedCount!: number;
  @Column({ default: 0 }) popularCount!: number;
  @Column({ default: 0 }) articlesCount!: number;
  @Column({ default: 0 }) storiesCount!: number;
  @Column({ type: 'bigint', default: 0 }) likesSum!: NumericText;
  @Column({ default: 0 }) commentsCount!: number;
  @Column({ default: 0 }) shownSum!: number;
  @OneToMany(() => Post, (post) => post.author, { cascade: true }) posts!: Relation<Post>[];
}

@Entity()
export class Category {
  @PrimaryColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) postsCount!: number;
  @Column({ type: 'numeric', precision: 16, scale: 2, default: 0 }) ratingSum!: NumericText;
  @Column({ default: 0 }) commentsCount!: number;
  @OneToMany(() => Post, (post) => post.category) posts!: Relation<Post>[];
}

@Entity()
@CounterCache<Tag, Tag>({ junction: 'posts', column: 'postsCount' })
export class Tag {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) postsCount!: number;
  @ManyToMany(() => Post, (post) => post.tags) posts!: Relation<Post>[];
}

/** `author` has its foreign-key column beside it, `category` has none; the database cascades from one and nulls the other. */
@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount' })
@CounterCache<Post, Author>({ relation: 'author', column: 'everPostsCount', includeSoftDeleted: true })
@CounterCache<Post, Author>({ relation: 'author', column: 'publishedCount', where: { status: In(['live', 'hot']) } })
@CounterCache<Post, Author>({
  relation: 'author',
  column: 'popularCount',
  if: ({ likes, status }) => likes >= 10 && status !== 'draft',
  reads: ['likes', 'status'],
})
@CounterCache<Post, Author>({
  relation: 'author',
  column: ({ kind }) => (kind === 'article' ? 'articlesCount' : kind === 'story' ? 'storiesCount' : null),
  columns: ['articlesCount', 'storiesCount'],
  reads: ['kind'],
})
@CounterCache<Post, Author>({ relation: 'author', column: 'likesSum', incrementBy: 'likes' })
@CounterCache<Post, Category>({ relation: 'category', column: 'postsCount' })
@CounterCache<Post, Category>({ relation: 'category', column: 'ratingSum', incrementBy: 'rating' })
@CounterCache<Post, Post>({ junction: 'tags', column: 'tagsCount' })
export class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) title!: string;
  @Column({ type: 'text', nullable: true, unique: true }) slug!: string | null;
  @Column({ default: 'draft' }) status!: string;
  @Column({ type: 'text', nullable: true }) kind!: string | null;
  @Column({ default: 0 }) likes!: number;
  @Column({ type: 'numeric', precision: 6, scale: 2, nullable: true }) rating!: NumericText | null;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column({ type: 'integer', nullable: true }) authorId!: number | null;
  @ManyToOne(() => Author, (author) => author.posts, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'authorId' })
  author!: Relation<Author> | null;
  @ManyToOne(() => Category, (category) => category.posts, { nullable: true, onDelete: 'SET NULL' })
  category!: Relation<Category> | null;
  @Column({ default: 0 }) commentsCount!: number;
  @Column({ default: 0 }) signedCount!: number;
  @Column({ type: 'timestamptz', nullable: true }) commentedAt!: Date | null;
  @Column({ default: 0 }) attachmentsCount!: number;
  @Column({ type: 'numeric', precision: 14, scale: 1, default: 0 }) sizeSum!: NumericText;
  @Column({ default: 0 }) likedCount!: number;
  @Column({ default: 0 }) likedSum!: number;
  @Column({ default: 0 }) tagsCount!: number;
  @ManyToMany(() => Tag, (tag) => tag.posts, { cascade: true }) @JoinTable() tags!: Relation<Tag>[];
  @OneToMany(() => Comment, (comment) => comment.post, { cascade: true }) comments!: Relation<Comment>[];
  @OneToMany(() => Attachment, (attachment) => attachment.post, { cascade: true }) attachments!: Relation<Attachment>[];
}

@Entity()
@CounterCache<Comment, Post>({ relation: 'post', column: 'commentsCount', touch: 'commentedAt' })
@CounterCache<Comment, Post>({ relation: 'post', column: 'signedCount', where: { authorId: Not(IsNull()) } })
@CounterCache<Comment, Author>({ relation: 'author', column: 'commentsCount' })
@CounterCache<Comment, Category>({ relation: 'post.category', column: 'commentsCount' })
export class Comment {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) amount!: number;
  @ManyToOne(() => Post, (post) => post.comments, {
    nullable: true,
    onDelete: 'CASCADE',
    orphanedRowAction: 'delete',
  })
  post!: Relation<Post> | null;
  @Column({ type: 'integer', nullable: true }) authorId!: number | null;
  @ManyToOne(() => Author, { nullable: true, onDelete: 'SET NULL' })
  @JoinColumn({ name: 'authorId' })
  author!: Relation<Author> | null;
  @Column({ default: 0 }) likedCount!: number;
  @Column({ default: 0 }) likedSum!: number;
}

@Entity()
@CounterCache<Attachment, Post>({ relation: 'post', column: 'attachmentsCount' })
@CounterCache<Attachment, Post>({
  relation: 'post',
  column: 'sizeSum',
  incrementBy: ({ amount }) => amount / 2,
  reads: ['amount'],
})
@CounterCache<Attachment, Author>({
  relation: 'post.author',
  column: 'shownSum',
  incrementBy: 'amount',
  where: { post: { status: In(['live', 'hot']) } },
})
export class Attachment {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) amount!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Post, (post) => post.attachments, {
    nullable: true,
    onDelete: 'CASCADE',
    orphanedRowAction: 'soft-delete',
  })
  post!: Relation<Post> | null;
}

const likeable = {
  id: 'likeableId',
  type: 'likeableType',
  targets: () => ({ post: Post, comment: Comment }),
  ignore: ['page'],
} as const;

@Entity()
@CounterCache<Like, Post & Comment>({ polymorphic: likeable, column: 'likedCount' })
@CounterCache<Like, Post & Comment>({ polymorphic: likeable, column: 'likedSum', incrementBy: 'amount' })
export class Like {
  @PrimaryColumn() id!: number;
  @Column({ type: 'text', nullable: true, unique: true }) token!: string | null;
  @Column({ type: 'text', nullable: true }) likeableType!: string | null;
  @Column({ type: 'integer', nullable: true }) likeableId!: number | null;
  @Column({ default: 1 }) amount!: number;
}

/** A tree in one table; nothing keeps a node from being its own ancestor. */
@Entity()
@CounterCache<Node, Node>({ relation: 'parent', column: 'childrenCount' })
@CounterCache<Node, Node>({ relation: 'parent.parent', column: 'grandchildrenCount' })
@CounterCache<Node, Node>({
  relation: 'parent',
  column: 'heavySum',
  incrementBy: 'amount',
  where: { amount: MoreThan(4) },
})
export class Node {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) amount!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column({ type: 'integer', nullable: true }) parentId!: number | null;
  @ManyToOne(() => Node, (node) => node.children, { nullable: true, onDelete: 'CASCADE' })
  @JoinColumn({ name: 'parentId' })
  parent!: Relation<Node> | null;
  @OneToMany(() => Node, (node) => node.parent, { cascade: true }) children!: Relation<Node>[];
  @Column({ default: 0 }) childrenCount!: number;
  @Column({ default: 0 }) heavySum!: number;
  @Column({ default: 0 }) grandchildrenCount!: number;
}

export const ENTITIES = [Author, Category, Tag, Post, Comment, Attachment, Like, Node];
