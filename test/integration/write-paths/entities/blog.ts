import {
  Column,
  DeleteDateColumn,
  Entity,
  JoinColumn,
  ManyToOne,
  OneToMany,
  PrimaryGeneratedColumn,
  type Relation,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

@Entity()
export class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) name!: string;
  @Column({ default: 0 }) postsCount!: number;
  @Column({ default: 0 }) likesSum!: number;
  @OneToMany(() => Post, (post) => post.author, { cascade: true }) posts!: Relation<Post>[];
}

/** Orphans lose their author. */
@Entity()
@CounterCache<Post, Author>({ relation: 'author', column: 'postsCount', recalculation: false })
@CounterCache<Post, Author>({ relation: 'author', column: 'likesSum', incrementBy: 'likes', recalculation: false })
export class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) title!: string;
  @Column({ type: 'text', nullable: true, unique: true }) slug!: string | null;
  @Column({ default: 0 }) likes!: number;
  @Column({ default: 0 }) views!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column({ type: 'integer', nullable: true }) authorId!: number | null;
  @ManyToOne(() => Author, (author) => author.posts) @JoinColumn({ name: 'authorId' }) author!: Relation<Author> | null;
}

@Entity()
export class Album {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) songsCount!: number;
  @Column({ default: 0 }) longSongsCount!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @OneToMany(() => Song, (song) => song.album, { cascade: true }) songs!: Relation<Song>[];
}

/** Orphans are deleted; the foreign key is checked at COMMIT; the database itself says which songs are long. */
@Entity()
@CounterCache<Song, Album>({ relation: 'album', column: 'songsCount', recalculation: false })
@CounterCache<Song, Album>({
  relation: 'album',
  column: 'longSongsCount',
  where: { isLong: true },
  recalculation: false,
})
export class Song {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) seconds!: number;
  @Column({ type: 'boolean', generatedType: 'STORED', asExpression: 'seconds > 300' }) isLong!: boolean;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @Column({ type: 'integer', nullable: true }) albumId!: number | null;
  @ManyToOne(() => Album, (album) => album.songs, { orphanedRowAction: 'delete', deferrable: 'INITIALLY DEFERRED' })
  @JoinColumn({ name: 'albumId' })
  album!: Relation<Album> | null;
}

@Entity()
export class Shelf {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) booksCount!: number;
  @OneToMany(() => Book, (book) => book.shelf) books!: Relation<Book>[];
}

/** Orphans are soft-deleted. */
@Entity()
@CounterCache<Book, Shelf>({ relation: 'shelf', column: 'booksCount', recalculation: false })
export class Book {
  @PrimaryGeneratedColumn() id!: number;
  @DeleteDateColumn({ type: 'timestamptz' }) deletedAt!: Date | null;
  @ManyToOne(() => Shelf, (shelf) => shelf.books, { orphanedRowAction: 'soft-delete' }) shelf!: Relation<Shelf> | null;
}

/** Rows that feed no counter and carry none. */
@Entity()
export class Note {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: '' }) text!: string;
}
