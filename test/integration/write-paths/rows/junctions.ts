import type { EntityManager } from 'typeorm';

import { Course, Student } from '../entities/forum';
import { group } from '../write-path';

/** A student of two courses, and a third course. */
async function school(manager: EntityManager): Promise<{ student: Student; courses: Course[] }> {
  const courses = await manager.save([0, 1, 2].map(() => manager.create(Course)));
  const student = await manager.save(manager.create(Student, { courses: courses.slice(0, 2) }));
  return { student, courses };
}

export const JUNCTIONS = group('Many-to-many', [
  {
    name: '`save()` of a new row with 2 links',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { courses } = await school(manager);
      return () => manager.save(manager.create(Student, { courses: courses.slice(1) }));
    },
  },
  {
    name: '`save()`: 1 link added, 1 removed',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { student, courses } = await school(manager);
      return () => manager.save(Object.assign(student, { courses: courses.slice(1) }));
    },
  },
  {
    name: '`save()` from the other side: all links removed',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      await school(manager);
      const [course] = await manager.find(Course, { relations: { students: true }, order: { id: 'ASC' }, take: 1 });
      return () => manager.save(Object.assign(course ?? new Course(), { students: [] }));
    },
  },
  {
    name: '`relation().add()`',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { student, courses } = await school(manager);
      return () => manager.createQueryBuilder().relation(Student, 'courses').of(student).add(courses[2]);
    },
  },
  {
    name: '`relation().remove()`',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { student, courses } = await school(manager);
      return () => manager.createQueryBuilder().relation(Student, 'courses').of(student).remove(courses.slice(0, 2));
    },
  },
  {
    name: '`relation().addAndRemove()`',
    captured: ['returned rows'],
    run: async ({ manager }) => {
      const { student, courses } = await school(manager);
      const relation = manager.createQueryBuilder().relation(Student, 'courses').of(student);
      return () => relation.addAndRemove(courses[2], courses[0]);
    },
  },
  {
    name: '`delete()` of a row with 2 links',
    captured: ['cascade', 'recount'],
    run: async ({ manager }) => {
      const { student } = await school(manager);
      return () => manager.delete(Student, { id: student.id });
    },
  },
]);
