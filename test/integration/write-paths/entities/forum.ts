import {
  Column,
  Entity,
  JoinColumn,
  JoinTable,
  ManyToMany,
  ManyToOne,
  PrimaryGeneratedColumn,
  type Relation,
  Tree,
  TreeChildren,
  TreeParent,
} from 'typeorm';
import { CounterCache } from 'typeorm-counter-cache';

@Entity()
export class Forum {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) topicsCount!: number;
}

@Entity()
@CounterCache<Topic, Forum>({ relation: 'forum', column: 'topicsCount', recalculation: false })
export class Topic {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) repliesCount!: number;
  @ManyToOne(() => Forum, { onDelete: 'CASCADE' }) forum!: Relation<Forum>;
}

@Entity()
export class Member {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) repliesCount!: number;
}

@Entity()
@CounterCache<Reply, Topic>({ relation: 'topic', column: 'repliesCount', recalculation: false })
@CounterCache<Reply, Member>({ relation: 'member', column: 'repliesCount', recalculation: false })
export class Reply {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Topic, { onDelete: 'CASCADE' }) topic!: Relation<Topic>;
  @Column({ type: 'integer', nullable: true }) memberId!: number | null;
  @ManyToOne(() => Member, { onDelete: 'SET NULL' }) @JoinColumn({ name: 'memberId' }) member!: Relation<Member> | null;
}

@Entity()
@CounterCache<Student, Student>({ junction: 'courses', column: 'coursesCount', recalculation: false })
export class Student {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) coursesCount!: number;
  @ManyToMany(() => Course, (course) => course.students) @JoinTable() courses!: Relation<Course>[];
}

@Entity()
@CounterCache<Course, Course>({ junction: 'students', column: 'studentsCount', recalculation: false })
export class Course {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) studentsCount!: number;
  @ManyToMany(() => Student, (student) => student.courses) students!: Relation<Student>[];
}

/** A tree whose nodes count their children. */
@Entity()
@Tree('materialized-path')
@CounterCache<Unit, Unit>({ relation: 'parent', column: 'unitsCount', recalculation: false })
export class Unit {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ default: 0 }) unitsCount!: number;
  @TreeParent() parent!: Relation<Unit> | null;
  @TreeChildren() children!: Relation<Unit>[];
}
