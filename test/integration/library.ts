import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

/** Deletions spread: a shelf takes its books along, a book its loans; a member's loans stay, without the member. */
@Entity()
export class Shelf {
  @PrimaryGeneratedColumn() id!: number;
}

@Entity()
export class Writer {
  @PrimaryColumn() id!: number;
  @Column({ default: 0 }) booksCount!: number;
}

@Entity()
export class Member {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) loansCount!: number;
  @Column({ default: 0 }) openLoansCount!: number;
}

@Entity()
@CounterCache<Book, Writer>({ relation: 'writer', column: 'booksCount' })
export class Book {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ nullable: true }) shelfId!: number;
  @ManyToOne(() => Shelf, { onDelete: 'CASCADE' }) @JoinColumn({ name: 'shelfId' }) shelf!: Relation<Shelf>;
  @Column({ nullable: true }) writerId!: number;
  @ManyToOne(() => Writer, { createForeignKeyConstraints: false })
  @JoinColumn({ name: 'writerId' })
  writer!: Relation<Writer>;
  @Column({ nullable: true }) sequelOfId!: number;
  @ManyToOne(() => Book, { onDelete: 'CASCADE' }) @JoinColumn({ name: 'sequelOfId' }) sequelOf!: Relation<Book>;
}

@Entity()
@CounterCache<Loan, Member>({ relation: 'member', column: 'loansCount' })
@CounterCache<Loan, Member>({ relation: 'member', column: 'openLoansCount', where: { open: true } })
export class Loan {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: true }) open!: boolean;
  @Column() bookId!: number;
  @ManyToOne(() => Book, { onDelete: 'CASCADE' }) @JoinColumn({ name: 'bookId' }) book!: Relation<Book>;
  @Column({ nullable: true }) memberId!: number;
  @ManyToOne(() => Member, { onDelete: 'SET NULL' }) @JoinColumn({ name: 'memberId' }) member!: Relation<Member>;
}

export const LIBRARY = [Shelf, Writer, Member, Book, Loan];

/** Every counter of the library that is not the truth by SQL. */
export const WRONG = `
  SELECT 'writer' AS kind, w.id, w."booksCount" AS counted, (SELECT count(*) FROM book b WHERE b."writerId" = w.id)::int AS truth FROM writer w
    WHERE w."booksCount" <> (SELECT count(*) FROM book b WHERE b."writerId" = w.id)
  UNION ALL SELECT 'member', m.id, m."loansCount", (SELECT count(*) FROM loan l WHERE l."memberId" = m.id)::int FROM member m
    WHERE m."loansCount" <> (SELECT count(*) FROM loan l WHERE l."memberId" = m.id)
  UNION ALL SELECT 'open', m.id, m."openLoansCount", (SELECT count(*) FROM loan l WHERE l."memberId" = m.id AND l.open)::int FROM member m
    WHERE m."openLoansCount" <> (SELECT count(*) FROM loan l WHERE l."memberId" = m.id AND l.open)`;
